//! The doctor's verdict and the fate of a real build agree; and where a flag of the container is the cure, it cures.

use std::fs;
use std::os::unix::fs::chown;

use crate::pod::{Pod, out_of_the_image};
use crate::states::{on_overlay, without_calls};

fn agree(name: &str, pod: &Pod) -> bool {
    let (code, report) = pod.examine(&[]);
    let (built, said) = pod.builds();
    assert_eq!(code == 0, built, "{name}: {report:#}\n{said}");
    built
}

#[test]
fn a_healthy_pod_is_all_well_and_builds() {
    let pod = Pod::new();
    assert!(agree("healthy", &pod));
    let (_, report) = pod.examine(&["storage.build"]);
    assert_eq!(report["checks"][0]["status"], "ok", "{report:#}");
    let left: Vec<_> = fs::read_dir(pod.volume()).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn verdict_and_build_agree_where_builds_fail() {
    let root = {
        let mut pod = Pod::new();
        pod.user = "0:0";
        pod
    };
    let wrong_owner = Pod::new();
    chown(wrong_owner.volume(), Some(0), Some(0)).unwrap();
    let states = [
        ("unshare", without_calls(&["unshare"])),
        ("mount", without_calls(&["mount"])),
        ("chroot", without_calls(&["chroot"])),
        (
            "no_new_privs",
            Pod::new().flags(&["--security-opt", "no-new-privileges"]),
        ),
        ("capabilities", Pod::new().rights(&["--cap-drop", "all"])),
        ("root", root),
        ("subuid", Pod::new().file("/etc/subuid", "", 0o644)),
        (
            "overlap",
            Pod::new().file("/etc/subuid", "runner:1:999\nrunner:500:600\n", 0o644),
        ),
        (
            "newuidmap",
            Pod::new().file(
                "/usr/bin/newuidmap",
                out_of_the_image("/usr/bin/newuidmap"),
                0o755,
            ),
        ),
        (
            "setuid",
            Pod::new().file(
                "/usr/bin/newuidmap",
                out_of_the_image("/usr/bin/newuidmap"),
                0o4755,
            ),
        ),
        ("owner", wrong_owner),
        ("no volume", Pod::new().workspace(&[])),
        (
            "noexec",
            Pod::new().mounted(&["-t", "tmpfs", "-o", "noexec,mode=0777", "tmpfs"]),
        ),
    ];
    for (name, pod) in states {
        assert!(!agree(name, &pod), "{name}");
    }
}

#[test]
fn verdict_and_build_agree_where_builds_only_could_be_better() {
    let states = [
        ("overlay below", on_overlay()),
        ("read-only root", Pod::new().flags(&["--read-only"])),
        (
            "nosuid",
            Pod::new().mounted(&["-t", "tmpfs", "-o", "nosuid,mode=0777", "tmpfs"]),
        ),
        (
            "few ids",
            Pod::new().file("/etc/subuid", "runner:1001:2000\n", 0o644),
        ),
    ];
    for (name, pod) in states {
        assert!(agree(name, &pod), "{name}");
    }
}

/// Where a flag of the container is the cure, the same container with it is well.
#[test]
fn a_cure_that_is_a_flag_cures() {
    let profile = "privileges.syscalls";
    let mut pod = without_calls(&["unshare", "clone", "mount", "umount2", "chroot"]);
    assert_eq!(pod.examine(&[profile]).0, 70);
    // --security-opt seccomp=k8s/seccomp/buildah.json
    pod.seccomp = Pod::new().seccomp.clone();
    assert_eq!(pod.examine(&[profile]).0, 0);

    let id = "privileges.capabilities";
    let mut pod = Pod::new().rights(&["--cap-drop", "all"]);
    assert_eq!(pod.examine(&[id]).0, 70);
    pod = pod.flags(&["--cap-add", "SETUID", "--cap-add", "SETGID"]);
    assert_eq!(pod.examine(&[id]).0, 0);

    let mut pod = Pod::new().rights(&["--cap-drop", "all"]);
    pod.user = "0:0";
    assert_eq!(pod.examine(&[id]).0, 70);
    pod = pod.flags(&[
        "--cap-add",
        "SETUID",
        "--cap-add",
        "SETGID",
        "--cap-add",
        "SETFCAP",
    ]);
    assert_eq!(pod.examine(&[id]).0, 0);

    let id = "idmap.subordinate";
    let pod = Pod::new().file("/etc/subuid", "root:1:999\n", 0o644);
    let (code, report) = pod.examine(&[id]);
    assert_eq!(code, 70);
    let cure = crate::pod::check(&report, id)["cure"]
        .as_str()
        .unwrap()
        .to_owned();
    let ranges = cure.split('\'').nth(1).unwrap().replace("\\n", "\n");
    let pod = Pod::new().file("/etc/subuid", ranges, 0o644);
    assert_eq!(pod.examine(&[id, "idmap.map"]).0, 0);

    let id = "kernel.open-files";
    let pod = Pod::new().flags(&["--ulimit", "nofile=200:200"]);
    assert_eq!(pod.examine(&[id]).0, 70);
    let pod = Pod::new().flags(&["--ulimit", "nofile=4096:4096"]);
    assert_eq!(pod.examine(&[id]).0, 0);

    let id = "storage.driver";
    let pod = Pod::new().workspace(&[]);
    assert_eq!(pod.examine(&[id]).0, 70);
    // --volume NAME:/workspace:U
    let name = format!("doctor-cure-{}", std::process::id());
    let volume = format!("{name}:/workspace:U");
    let pod = Pod::new().workspace(&["--volume", &volume]);
    let (code, report) = pod.examine(&[id]);
    let removed = support::podman(&["volume", "rm", "--force", &name]);
    assert!(removed.status.success());
    assert_eq!(code, 0, "{report:#}");
}
