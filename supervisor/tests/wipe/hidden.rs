//! What a job puts where no listing shows it: under other paths, under mounts, in attributes and modes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use rustix::fs::{XattrFlags, listxattr, setxattr};

use crate::place::{Place, Who, Wiped, finish, start};
use crate::run::{Scene, report, scene, wait_until};

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).unwrap().next().is_none()
}

#[test]
fn a_mount_is_found_however_the_workspace_is_written() {
    let place = Place::new(Who::Root);
    let doubled = format!("{}//workspace/", place.path("").display());
    let environment = [("workspace", doubled.as_str())];
    let scene = Scene {
        environment: &environment,
        ..scene(&place, Who::Root, "")
    };
    let ended = scene.run(r#"echo s >kept; cd /; mount -t tmpfs tmpfs "$workspace""#);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    place.assert_empty();
}

/// The volume is `$place/volume`, where the test can look after the end.
const VOLUME: &str = r#"
    mkdir "$place/volume"; mount --bind "$place/volume" "$workspace"
    mkdir -p "$place/proc/self"; cp /proc/self/mountinfo "$place/proc/self/mountinfo"
"#;

#[test]
fn a_volume_that_a_job_takes_off_its_path_is_wiped_all_the_same() {
    for job in [
        r#"umount -l "$workspace""#,
        r#"mkdir "$place/else"; mount --move "$workspace" "$place/else""#,
        r#"mount -t tmpfs tmpfs "$workspace"; mount --bind "$place/proc" /proc"#,
        r#"umount -l "$workspace"; mount --bind "$place/proc" /proc"#,
    ] {
        let place = Place::new(Who::Root);
        let job = format!("echo secret >file; echo secret >../other; cd /; {job} || exit 9");
        let ended = scene(&place, Who::Root, VOLUME).run(&job);
        assert_eq!(ended.code, Some(0), "{job}: {ended:?}");
        assert!(is_empty(&place.path("volume")), "{job}: {ended:?}");
        place.assert_canary();
    }
}

#[test]
fn a_workspace_that_a_job_renames_is_wiped_where_it_is() {
    let place = Place::new(Who::Runner);
    let job = r#"echo secret >file; cd /; mv "$workspace" "$place/renamed"; mkdir "$workspace""#;
    let ended = scene(&place, Who::Runner, "").run(job);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(is_empty(&place.path("renamed")), "{ended:?}");
    assert!(ended.stderr.contains("another directory"), "{ended:?}");
    place.assert_empty();
}

/// Runs a job that empties the workspace and waits until `hide` has been done to its root.
fn hide_in_the_root(place: &Place, hide: impl FnOnce(&Path), end: &str) -> Wiped {
    let job = format!(
        r#"cd "$workspace"; rm -rf work home tmp; : >"$place/ready"
        until [ -e "$place/go" ]; do sleep 0.01; done; {end}"#
    );
    let child = scene(place, Who::Runner, "").start(&job);
    wait_until(|| place.path("ready").exists());
    hide(&place.workspace());
    place.file("go", "");
    finish(child)
}

fn attributes(path: &Path) -> usize {
    let mut names = vec![0; 1 << 16];
    let length = listxattr(path, &mut names[..]).unwrap();
    let names = names[..length].split(|&byte| byte == 0);
    names.filter(|name| name.starts_with(b"user.")).count()
}

fn hide_one(path: &Path) {
    setxattr(path, "user.hidden", b"payload", XattrFlags::empty()).unwrap();
}

#[test]
fn an_attribute_of_a_closed_root_is_removed_and_the_mode_is_what_it_was() {
    for mode in ["500", "2777", "000"] {
        let place = Place::new(Who::Runner);
        let before = fs::metadata(place.workspace()).unwrap().permissions();
        let ended = hide_in_the_root(&place, hide_one, &format!("chmod {mode} ."));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(attributes(&place.workspace()), 0);
        let after = fs::metadata(place.workspace()).unwrap().permissions();
        assert_eq!(after.mode(), before.mode(), "{mode}");
        place.assert_empty();
    }
}

#[test]
fn more_attributes_than_the_kernel_lists_are_named() {
    let place = Place::in_memory(Who::Runner);
    let hide = |path: &Path| {
        for number in 0..600 {
            let name = format!("user.{number:0>240}");
            setxattr(path, name, b"", XattrFlags::empty()).unwrap();
        }
    };
    let ended = hide_in_the_root(&place, hide, "exit 0");
    assert_eq!(ended.code, Some(75), "{ended:?}");
    let report = report(&ended);
    assert_eq!(report["wiped"]["leftover_count"], 1);
    let left = format!("{}: E2BIG", place.workspace().display());
    assert_eq!(report["wiped"]["leftovers"][0], left);
}

#[test]
fn an_attribute_that_a_killed_run_left_is_removed_before_the_job() {
    let place = Place::new(Who::Runner);
    hide_one(&place.workspace());
    let job = r#": >"$place/ready"; until [ -e "$place/go" ]; do sleep 0.01; done"#;
    let child = scene(&place, Who::Runner, "").start(job);
    wait_until(|| place.path("ready").exists());
    let found = attributes(&place.workspace());
    place.file("go", "");
    assert_eq!(finish(child).code, Some(0));
    assert_eq!(found, 0);
}

#[test]
fn a_home_of_root_that_is_bound_in_keeps_its_files() {
    let place = Place::new(Who::Root);
    let prelude = r#"
        mkdir "$place/rh" "$workspace/home"; echo mine >"$place/rh/.bashrc"
        sed "s|^root:.*|root:x:0:0:root:$place/rh:/bin/sh|" /etc/passwd >"$place/passwd"
        mount --bind "$place/passwd" /etc/passwd; mount --bind "$place/rh" "$workspace/home"
    "#;
    // Off its path, it is still the same directory.
    let ended = scene(&place, Who::Root, prelude).run(r#"cd /; umount -l "$workspace/home""#);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(place.path("rh/.bashrc").exists());
    let prelude = prelude.replace(r#"mkdir "$place/rh" "#, "mkdir ");
    let ended = scene(&place, Who::Root, &prelude).run("true");
    assert_eq!(ended.code, Some(75), "{ended:?}");
    let left = format!("{}: EXDEV", place.path("workspace/home").display());
    assert!(ended.stderr.contains(&left), "{}", ended.stderr);
    assert!(place.path("rh/.bashrc").exists());
}

#[test]
fn what_stays_in_a_volume_of_its_own_is_in_the_jobs_way_too() {
    let place = Place::new(Who::Runner);
    let prelude = r#"
        mkdir "$workspace/home"; mount -t tmpfs tmpfs "$workspace/home"; chown 1000:1000 "$workspace/home"
        mkdir "$workspace/home/theirs"; : >"$workspace/home/theirs/file"
    "#;
    let ended = scene(&place, Who::Runner, prelude).run("true");
    assert_eq!(ended.code, Some(70), "{ended:?}");
    let left = format!(
        "{}: EACCES",
        place.path("workspace/home/theirs/file").display()
    );
    assert!(ended.stderr.contains(&left), "{}", ended.stderr);
}

#[test]
fn a_cache_of_the_pods_is_no_obstacle_when_a_killed_run_left_files_of_subordinate_ids() {
    let place = Place::new(Who::Runner);
    place.directory_of_the_job("run");
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
        .env("place", place.path(""))
        .env("workspace", place.workspace())
        .env("supervisor", place.supervisor())
        .env("SUPERVISOR_RUNTIME_DIRECTORY", place.path("run"))
        .env("SUPERVISOR_SECRETS__DIRECTORY", place.path("none"));
    let ended = finish(start(command));
    assert_eq!(ended.code, Some(75), "{ended:?}");
    assert!(ended.stdout.contains("began\n"), "{}", ended.stdout);
    let report = report(&ended);
    let leftovers = report["wiped"]["leftovers"].to_string();
    // The other is the directory that it is mounted in.
    assert_eq!(report["wiped"]["leftover_count"], 2, "{leftovers}");
    assert!(
        leftovers.contains("home/.cache: EXDEV (mounted before"),
        "{leftovers}"
    );
}

#[test]
fn others_files_in_shared_directories_do_not_hide_what_is_in_the_jobs_way() {
    let place = Place::new(Who::Runner);
    let prelude = r#"
        mkdir "$place/shared" "$workspace/work"
        for i in {1..30}; do : >"$place/shared/$i"; done; chmod 1777 "$place/shared"
        : >"$workspace/work/file"
    "#;
    let shared = place.path("shared").display().to_string();
    let environment = [("SUPERVISOR_WORKSPACE__ALSO_WIPE", shared.as_str())];
    let scene = Scene {
        environment: &environment,
        ..scene(&place, Who::Runner, prelude)
    };
    let ended = scene.run("true");
    assert_eq!(ended.code, Some(70), "{ended:?}");
    let left = format!("{}: EACCES", place.path("workspace/work/file").display());
    assert!(ended.stderr.contains(&left), "{}", ended.stderr);
    let named = report(&ended)["found"]["leftovers"].clone();
    assert_eq!(named.as_array().unwrap().len(), 20, "{named}");
}
