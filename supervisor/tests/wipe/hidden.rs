//! Data that a job hides from a listing: under other paths, under mounts, in attributes and modes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use rustix::fs::{XattrFlags, listxattr, setxattr};
use test_support::eventually;

use crate::fixture::{Fixture, User};
use crate::process::{Finished, finish, start};
use crate::run::{PodRun, pod_run, report};

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).unwrap().next().is_none()
}

#[test]
fn run_detaches_a_mount_if_the_path_has_extra_slashes() {
    let fixture = Fixture::new(User::Root);
    let doubled = format!("{}//workspace/", fixture.path("").display());
    let environment = [("workspace", doubled.as_str())];
    let pod_run = PodRun {
        environment: &environment,
        ..pod_run(&fixture, User::Root, "")
    };
    let ended = pod_run.run(r#"echo s >kept; cd /; mount -t tmpfs tmpfs "$workspace""#);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    fixture.assert_empty();
}

/// The volume is `$place/volume`, which the test checks after the end.
const VOLUME: &str = r#"
    mkdir "$place/volume"; mount --bind "$place/volume" "$workspace"
    mkdir -p "$place/proc/self"; cp /proc/self/mountinfo "$place/proc/self/mountinfo"
"#;

#[test]
fn run_wipes_a_volume_that_a_job_detached_or_moved() {
    for job in [
        r#"umount -l "$workspace""#,
        r#"mkdir "$place/else"; mount --move "$workspace" "$place/else""#,
        r#"mount -t tmpfs tmpfs "$workspace"; mount --bind "$place/proc" /proc"#,
        r#"umount -l "$workspace"; mount --bind "$place/proc" /proc"#,
    ] {
        let fixture = Fixture::new(User::Root);
        let job = format!("echo secret >file; echo secret >../other; cd /; {job} || exit 9");
        let ended = pod_run(&fixture, User::Root, VOLUME).run(&job);
        assert_eq!(ended.code, Some(0), "{job}: {ended:?}");
        assert!(is_empty(&fixture.path("volume")), "{job}: {ended:?}");
        fixture.assert_canary();
    }
}

#[test]
fn run_wipes_a_workspace_that_a_job_renamed() {
    let fixture = Fixture::new(User::Runner);
    let job = r#"echo secret >file; cd /; mv "$workspace" "$place/renamed"; mkdir "$workspace""#;
    let ended = pod_run(&fixture, User::Runner, "").run(job);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(is_empty(&fixture.path("renamed")), "{ended:?}");
    assert!(ended.stderr.contains("another directory"), "{ended:?}");
    fixture.assert_empty();
}

/// Runs a job that empties the workspace and waits until `hide` has changed its root.
fn run_hiding_in_root(fixture: &Fixture, hide: impl FnOnce(&Path), end: &str) -> Finished {
    let job = format!(
        r#"cd "$workspace"; rm -rf work home tmp; : >"$place/ready"
        until [ -e "$place/go" ]; do sleep 0.01; done; {end}"#
    );
    let child = pod_run(fixture, User::Runner, "").start(&job);
    eventually("the job", || fixture.path("ready").exists());
    hide(&fixture.workspace());
    fixture.file("go", "");
    finish(child)
}

fn count_attributes(path: &Path) -> usize {
    let mut names = vec![0; 1 << 16];
    let length = listxattr(path, &mut names[..]).unwrap();
    let names = names[..length].split(|&byte| byte == 0);
    names.filter(|name| name.starts_with(b"user.")).count()
}

fn set_attribute(path: &Path) {
    setxattr(path, "user.hidden", b"payload", XattrFlags::empty()).unwrap();
}

#[test]
fn run_removes_attributes_and_restores_the_mode_of_a_root() {
    for mode in ["500", "2777", "000"] {
        let fixture = Fixture::new(User::Runner);
        let before = fs::metadata(fixture.workspace()).unwrap().permissions();
        let ended = run_hiding_in_root(&fixture, set_attribute, &format!("chmod {mode} ."));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(count_attributes(&fixture.workspace()), 0);
        let after = fs::metadata(fixture.workspace()).unwrap().permissions();
        assert_eq!(after.mode(), before.mode(), "{mode}");
        fixture.assert_empty();
    }
}

#[test]
fn run_names_a_root_with_too_many_attributes() {
    let fixture = Fixture::in_memory(User::Runner);
    let hide = |path: &Path| {
        for number in 0..600 {
            let name = format!("user.{number:0>240}");
            setxattr(path, name, b"", XattrFlags::empty()).unwrap();
        }
    };
    let ended = run_hiding_in_root(&fixture, hide, "exit 0");
    assert_eq!(ended.code, Some(75), "{ended:?}");
    let report = report(&ended);
    assert_eq!(report["wiped"]["leftover_count"], 1);
    let left = format!("{}: E2BIG", fixture.workspace().display());
    assert_eq!(report["wiped"]["leftovers"][0], left);
}

#[test]
fn run_removes_a_killed_runs_attribute_before_the_job() {
    let fixture = Fixture::new(User::Runner);
    set_attribute(&fixture.workspace());
    let job = r#": >"$place/ready"; until [ -e "$place/go" ]; do sleep 0.01; done"#;
    let child = pod_run(&fixture, User::Runner, "").start(job);
    eventually("the job", || fixture.path("ready").exists());
    let found = count_attributes(&fixture.workspace());
    fixture.file("go", "");
    assert_eq!(finish(child).code, Some(0));
    assert_eq!(found, 0);
}

#[test]
fn run_keeps_a_bind_mounted_home_of_root() {
    let fixture = Fixture::new(User::Root);
    let prelude = r#"
        mkdir "$place/rh" "$workspace/home"; echo mine >"$place/rh/.bashrc"
        sed "s|^root:.*|root:x:0:0:root:$place/rh:/bin/sh|" /etc/passwd >"$place/passwd"
        mount --bind "$place/passwd" /etc/passwd; mount --bind "$place/rh" "$workspace/home"
    "#;
    // It is still the same directory after it was detached from its path.
    let ended = pod_run(&fixture, User::Root, prelude).run(r#"cd /; umount -l "$workspace/home""#);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(fixture.path("rh/.bashrc").exists());
    let prelude = prelude.replace(r#"mkdir "$place/rh" "#, "mkdir ");
    let ended = pod_run(&fixture, User::Root, &prelude).run("true");
    assert_eq!(ended.code, Some(75), "{ended:?}");
    let left = format!("{}: EXDEV", fixture.path("workspace/home").display());
    assert!(ended.stderr.contains(&left), "{}", ended.stderr);
    assert!(fixture.path("rh/.bashrc").exists());
}

#[test]
fn run_refuses_leftovers_in_a_volume_of_the_job() {
    let fixture = Fixture::new(User::Runner);
    let prelude = r#"
        mkdir "$workspace/home"; mount -t tmpfs tmpfs "$workspace/home"; chown 1000:1000 "$workspace/home"
        mkdir "$workspace/home/theirs"; : >"$workspace/home/theirs/file"
    "#;
    let ended = pod_run(&fixture, User::Runner, prelude).run("true");
    assert_eq!(ended.code, Some(70), "{ended:?}");
    let left = format!(
        "{}: EACCES",
        fixture.path("workspace/home/theirs/file").display()
    );
    assert!(ended.stderr.contains(&left), "{}", ended.stderr);
}

#[test]
fn run_starts_beside_a_pod_volume_after_a_killed_run() {
    let fixture = Fixture::new(User::Runner);
    fixture.owned_directory("run");
    let script = r#"
        set -eu; mount --make-rprivate /
        printf '1000:100000:65536\n' >"$place/ranges"
        for file in /etc/subuid /etc/subgid; do mount --bind "$place/ranges" $file; done
        drop() { setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all --ambient-caps=-all "$@"; }
        drop mkdir -p "$workspace/home/.cache"
        drop unshare --user --map-root-user --map-auto bash -c '
            mkdir -p "$workspace/work/foreign"; : >"$workspace/work/foreign/file"
            chown -R 33:33 "$workspace/work/foreign"; chmod 700 "$workspace/work/foreign"'
        mount -t tmpfs tmpfs "$workspace/home/.cache"
        exec setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all --ambient-caps=-all \
            "$supervisor" run --no-preflight --storage-driver none --workspace "$workspace" -- bash -c 'echo began'
    "#;
    let mut command = Command::new("unshare");
    command
        .args(["--pid", "--fork", "--mount-proc", "--kill-child"])
        .args(["bash", "-c", script])
        .env("place", fixture.path(""))
        .env("workspace", fixture.workspace())
        .env("supervisor", fixture.supervisor())
        .env("SUPERVISOR_RUNTIME_DIRECTORY", fixture.path("run"))
        .env("SUPERVISOR_SECRETS__DIRECTORY", fixture.path("none"));
    let ended = finish(start(command));
    assert_eq!(ended.code, Some(75), "{ended:?}");
    assert!(ended.stdout.contains("began\n"), "{}", ended.stdout);
    let report = report(&ended);
    let leftovers = report["wiped"]["leftovers"].to_string();
    // The other leftover is the directory of the mount point.
    assert_eq!(report["wiped"]["leftover_count"], 2, "{leftovers}");
    assert!(
        leftovers.contains("home/.cache: EXDEV (mounted before"),
        "{leftovers}"
    );
}

#[test]
fn shared_leftovers_do_not_hide_blocking_leftovers() {
    let fixture = Fixture::new(User::Runner);
    let prelude = r#"
        mkdir "$place/shared" "$workspace/work"
        for i in {1..30}; do : >"$place/shared/$i"; done; chmod 1777 "$place/shared"
        : >"$workspace/work/file"
    "#;
    let shared = fixture.path("shared").display().to_string();
    let environment = [("SUPERVISOR_WORKSPACE__ALSO_WIPE", shared.as_str())];
    let pod_run = PodRun {
        environment: &environment,
        ..pod_run(&fixture, User::Runner, prelude)
    };
    let ended = pod_run.run("true");
    assert_eq!(ended.code, Some(70), "{ended:?}");
    let left = format!("{}: EACCES", fixture.path("workspace/work/file").display());
    assert!(ended.stderr.contains(&left), "{}", ended.stderr);
    let named = report(&ended)["found"]["leftovers"].clone();
    assert_eq!(named.as_array().unwrap().len(), 20, "{named}");
}
