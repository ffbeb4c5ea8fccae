//! The node profiles, with the rights of their pods: a build with a RUN step works, and the workspace is empty afterwards.
#![allow(clippy::unwrap_used, missing_docs)]

use std::os::unix::fs::{PermissionsExt, chown};

use support::run_in_a_pod;

/// Two steps, the second of which runs a program of the image.
const BUILD: &str = r#"
    id -u
    mkdir root && cp /usr/local/bin/supervisor root/
    printf 'FROM scratch\nCOPY root/supervisor /s\nRUN ["/s", "--version"]\n' >Containerfile
    buildah build --layers --tag built . && echo "built it"
"#;

/// Runs the build on a volume of `owner`, and returns what was said. The doctor has nothing to say against it.
fn build(owner: u32, flags: &[&str]) -> String {
    let job = ["run", "--flavor", "exec", "--", "bash", "-c", BUILD];
    let said = supervise(owner, flags, &job);
    assert!(said.contains("\nbuilt it\n"), "{said}");
    let found = supervise(owner, flags, &["doctor"]);
    assert!(found.contains("0 failed"), "{found}");
    assert!(
        found.contains("An image can be built (two steps, with overlay"),
        "{found}"
    );
    said
}

/// Runs the supervisor on such a volume, which is empty in the end.
fn supervise(owner: u32, flags: &[&str], arguments: &[&str]) -> String {
    let volume = tempfile::tempdir_in("/var/tmp").unwrap();
    // As the kubelet makes an emptyDir with fsGroup 1000: root's, writable for the group.
    chown(volume.path(), Some(owner), Some(owner + 1000)).unwrap();
    std::fs::set_permissions(volume.path(), PermissionsExt::from_mode(0o2775)).unwrap();
    let mount = format!("{}:/workspace", volume.path().display());
    let mut all = vec!["--volume", &mount, "--tmpfs", "/tmp", "--tmpfs", "/var/tmp"];
    all.extend(flags);
    let output = run_in_a_pod(&all, arguments);
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(std::fs::read_dir(volume.path()).unwrap().count(), 0);
    said.into_owned()
}

#[test]
fn builds_without_new_privileges_as_root_in_profile_userns() {
    let said = build(
        100_000,
        &[
            "--uidmap=0:100000:65536",
            "--gidmap=0:100000:65536",
            "--user=0:0",
            "--cap-add=SETFCAP",
            "--security-opt=no-new-privileges",
            "--tmpfs=/run/supervisor:mode=0700",
        ],
    );
    assert!(said.starts_with("0\n"), "{said}");
}

#[test]
fn in_profile_rootless_uid_1000_builds() {
    let said = build(
        0,
        &["--mount=type=tmpfs,destination=/run/supervisor,tmpfs-mode=0700,U=true"],
    );
    assert!(said.starts_with("1000\n"), "{said}");
}
