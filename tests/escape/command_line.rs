//! Flags in every spelling, variables, and planted configuration.

use crate::{BASE, assert_refused, pod};

fn refused(flags: &str) {
    let done = pod().build(&format!("FROM {BASE}\nRUN echo got-it"), flags);
    assert_eq!(done.code, 125, "{flags}: {}", done.said);
    assert!(!done.said.contains("\ngot-it\n"), "{flags}: {}", done.said);
}

#[test]
fn more_capabilities() {
    refused("--cap-add=SYS_ADMIN");
    refused("--cap-add ALL");
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
}

#[test]
fn repeated_flags() {
    refused("--isolation=chroot --isolation=oci");
    refused("--quiet --quiet=false --cap-add=ALL --quiet");
}

#[test]
fn abbreviated_flags() {
    refused("--cap-ad=ALL");
    refused("--vol /:/mnt");
}

#[test]
fn flags_after_the_end_of_flags() {
    refused("-- --cap-add=ALL");
    let done = pod().job("buildah push -- --authfile=/x 127.0.0.1:5000/team/x");
    assert_eq!(done.code, 125, "{}", done.said);
}

#[test]
fn flags_as_values() {
    // A value that looks like a flag stays a value.
    let done = pod().build(
        &format!("FROM {BASE}"),
        "--label --cap-add=ALL --tag localhost/labelled",
    );
    assert_eq!(done.code, 0, "{}", done.said);
    refused("--tag --cap-add=ALL");
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
    for flags in ["--cpp-flag=-I/", "--sbom=syft", "--sbom-scanner-command=id"] {
        refused(flags);
    }
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
        "nonsense",
    ] {
        let done = pod().job(&format!("buildah {command}"));
        assert_eq!(done.code, 125, "{command}: {}", done.said);
    }
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
        assert_eq!(done.code, 125, "{image}: {}", done.said);
    }
}
