//! Flags in every spelling, variables, and planted configuration.

use support::Done;

use crate::{BASE, assert_refused, pod};

const UNKNOWN: &str = "is not among the flags";

/// Buildah shows each step: what is said at the step's end is made there.
fn build(flags: &str) -> Done {
    pod().build(&format!("FROM {BASE}\nRUN echo $((6*7))-it"), flags)
}

/// The builder's own error: it refuses before it calls Buildah.
fn refused_as(flags: &str, because: &str) {
    let done = build(flags);
    assert_refused(&done, because);
    assert!(done.said.starts_with("builder: "), "{flags}: {}", done.said);
    assert!(!done.said.contains("STEP "), "{flags}: {}", done.said);
}

fn refused(flags: &str) {
    refused_as(flags, " is not available: ");
}

/// The honest command line that it looks like.
fn taken(flags: &str) {
    let done = build(flags);
    assert_eq!(done.code, 0, "{flags}: {}", done.said);
    assert!(done.said.contains("\n42-it\n"), "{flags}: {}", done.said);
}

#[test]
fn more_capabilities() {
    refused("--cap-add=SYS_ADMIN");
    refused("--cap-add ALL");
    taken("--no-cache --cap-drop ALL");
}

#[test]
fn devices() {
    refused("--device /dev/fuse");
}

#[test]
fn volumes() {
    refused("--volume /:/mnt");
    refused("-v /:/mnt");
    refused("-v=/:/mnt");
}

#[test]
fn glued_short_flags() {
    refused("-v/:/mnt");
    refused("-qv/:/mnt");
    refused("-qDv /:/mnt");
    taken("--no-cache -Dtlocalhost/glued");
}

#[test]
fn repeated_flags() {
    refused("--isolation=chroot --isolation=oci");
    refused("--quiet --quiet=false --cap-add=ALL --quiet");
    taken("--no-cache --quiet --quiet=false");
}

#[test]
fn abbreviated_flags() {
    refused_as("--cap-ad=ALL", UNKNOWN);
    refused_as("--vol /:/mnt", UNKNOWN);
    refused_as("--no-cach", UNKNOWN);
    taken("--no-cache");
}

#[test]
fn flags_after_the_end_of_flags() {
    refused_as("-- --cap-add=ALL", "expected one context after build");
    let done = pod().job("buildah push -- --authfile=/x 127.0.0.1:5000/team/x");
    assert_refused(&done, "\"--authfile=/x\" is not the name of an image");
    taken("--no-cache --");
}

#[test]
fn flags_as_values() {
    // A value that looks like a flag stays a value.
    let done = pod().build(
        &format!("FROM {BASE}"),
        "--label --cap-add=ALL --tag localhost/labelled",
    );
    assert_eq!(done.code, 0, "{}", done.said);
    refused_as(
        "--tag --cap-add=ALL",
        "\"--cap-add=ALL\" is not the name of an image",
    );
}

#[test]
fn other_isolation_namespaces_and_security_options() {
    for flags in [
        "--isolation=oci",
        "--security-opt seccomp=unconfined",
        "--security-opt apparmor=unconfined",
        "--pid=host",
        "--ipc=host",
        "--userns=host",
        "--uts=host",
        "--cgroupns=host",
        "--network=ns:/proc/1/ns/net",
        "--runtime=/workspace/evil",
        "--runtime-flag=x",
        "--hooks-dir=.",
        "--cgroup-parent=/",
        "--group-add=keep-groups",
        "--ulimit=nofile=1:1",
    ] {
        refused(flags);
    }
    taken("--no-cache --network=host --shm-size 64m");
}

#[test]
fn other_credentials_and_certificates() {
    for flags in [
        "--authfile /run/supervisor/job/auth.json",
        "--cert-dir /run",
        "--decryption-key /x",
        "--sign-by x",
    ] {
        refused(flags);
    }
}

#[test]
fn programs_that_buildah_would_run() {
    for flags in ["--cpp-flag=-I/", "--sbom=syft"] {
        refused(flags);
    }
    refused_as("--sbom-scanner-command=id", UNKNOWN);
    let done = pod().job("echo x >Containerfile.in; buildah build -f Containerfile.in .");
    assert_refused(&done, "the C preprocessor would read any file");
}

#[test]
fn global_flags() {
    for flags in [
        "--root /workspace/x",
        "--storage-opt overlay.mount_program=/workspace/evil",
        "--storage-driver vfs",
        "--registries-conf x",
        "--default-mounts-file x",
        "--cpu-profile /x",
    ] {
        let done = pod().job(&format!("buildah {flags} images"));
        assert_refused(&done, "is not available");
    }
    let done = pod().job("buildah --log-level warn images");
    assert_eq!(done.code, 0, "{}", done.said);
}

#[test]
fn commands_that_enter_the_builder() {
    for command in [
        "unshare id",
        "run x id",
        "mount x",
        "from x",
        "copy x / /",
        "commit x",
    ] {
        let done = pod().job(&format!("buildah {command}"));
        assert_refused(&done, "is not available, because");
    }
    let done = pod().job("buildah nonsense");
    assert_refused(&done, "the builder has no command nonsense");
}

#[test]
fn variables_of_buildah_and_storage() {
    let done = pod().job(
        "export BUILDAH_ISOLATION=oci BUILDAH_RUNTIME=/workspace/evil STORAGE_DRIVER=vfs STORAGE_OPTS=overlay.mount_program=/workspace/evil \
         CONTAINERS_CONF=$PWD/c CONTAINERS_STORAGE_CONF=$PWD/c REGISTRY_AUTH_FILE=$PWD/c CONTAINERS_REGISTRIES_CONF=$PWD/c LD_PRELOAD= PATH_X=x; \
         echo '[engine]' >c; buildah info | grep -E 'GraphDriverName|GraphRoot'",
    );
    assert!(
        done.code == 0
            && done.said.contains("\"overlay\"")
            && done.said.contains("/var/lib/builder/storage"),
        "{}",
        done.said
    );
}

#[test]
fn a_planted_configuration() {
    let done = pod().job(
        "mkdir -p ~/.config/containers; printf '[storage]\\ndriver = \"vfs\"\\n' >~/.config/containers/storage.conf; \
         printf '[engine]\\nhooks_dir = [\"/workspace\"]\\nruntime = \"/workspace/evil\"\\n' >~/.config/containers/containers.conf; \
         buildah info | grep GraphDriverName; rm -r ~/.config",
    );
    assert!(
        done.code == 0 && done.said.contains("\"overlay\""),
        "{}",
        done.said
    );
}

#[test]
fn other_transports() {
    for image in [
        "containers-storage:[overlay@/x+/y:overlay.mount_program=/workspace/evil]i",
        "dir:/etc",
        "docker-daemon:x:y",
        "oci-archive:/run/supervisor/x.tar",
        "tarball:/run/supervisor/job/auth.json",
    ] {
        let done = pod().job(&format!(
            "buildah pull '{image}'; buildah push '{image}' 127.0.0.1:5000/team/x"
        ));
        assert_refused(&done, "is not the name of an image");
        assert!(!done.said.contains("Copying"), "{}", done.said);
    }
    // Directories are read beneath the workspace, and a name behind one leads nowhere else.
    for image in ["dir:./d:x/../../../run", "oci:./d:../x"] {
        assert_refused(
            &pod().job(&format!("mkdir d; buildah pull '{image}'")),
            "is not the name of an image",
        );
    }
    let done = pod().job(&format!(
        "buildah pull --quiet {BASE} && buildah push --quiet {BASE} oci-archive:./a.tar:x && mkdir d && tar -C d -xf a.tar && buildah pull oci:./d:x"
    ));
    assert_eq!(done.code, 0, "{}", done.said);
}

/// Whatever else is wrong with it, a line of the job's environment is no flag.
#[test]
fn proxies_in_the_environment() {
    let done = pod().job(&format!(
        "export https_proxy=$'http://a\\nTARGET=x' HTTP_PROXY='http://thief --cap-add=ALL'; printf 'FROM {BASE}\nRUN env | grep -i _proxy= | sed s/^/found:/\n' >Containerfile; buildah build --no-cache ."
    ));
    assert!(
        done.code == 0
            && done
                .said
                .contains("\nfound:HTTP_PROXY=http://thief --cap-add=ALL\n"),
        "{}",
        done.said
    );
    assert_eq!(done.said.matches("\nfound:").count(), 1, "{}", done.said);
}
