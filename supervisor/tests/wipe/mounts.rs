//! Mounts that a job left in the workspace: detached where that is allowed, named where not, never entered.

use std::process::Command;

use crate::place::{Place, Who, Wiped, run};
use linux::pre_exec;

/// Mounts of every kind beneath `$workspace`, each with something in it that must not be removed.
const MOUNTS: &str = r#"
    mkdir -p "$workspace"/{tmpfs,bind/deep,read-only,stacked,overlay,lower,upper,work,peers,file-holder}
    mount -t tmpfs tmpfs "$workspace/tmpfs"
    mkdir "$workspace/tmpfs/inner"
    mount --bind "$canary" "$workspace/tmpfs/inner"
    mount --bind "$canary" "$workspace/bind/deep"
    mount --bind "$canary" "$workspace/read-only"
    mount -o remount,bind,ro "$workspace/read-only"
    for i in {1..80}; do mount --bind "$canary" "$workspace/stacked"; done
    mount -t overlay overlay -o "lowerdir=$workspace/lower,upperdir=$workspace/upper,workdir=$workspace/work" \
        "$workspace/overlay"
    : >"$workspace/overlay/file"
    : >"$workspace/file-holder/file"
    mount --bind "$canary/one" "$workspace/file-holder/file"
    mkdir "$workspace/$odd"
    mount --bind "$canary" "$workspace/$odd"
"#;

/// A name that the kernel's list of mounts has to escape.
const ODD: &str = "a b\tc\nd\\e\u{e4}";

/// In a mount namespace of its own: sets up with `script`, then wipes as `who`, then looks with `after`.
fn scene(place: &Place, who: Who, script: &str, after: &str, prepare: fn(&mut Command)) -> Wiped {
    let wipe = match who {
        Who::Root => "",
        Who::Runner => {
            "setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all --ambient-caps=-all"
        }
    };
    let script = format!(
        "set -eu; mount --make-rprivate /\n{script}\nstatus=0
        {wipe} \"$supervisor\" wipe --json --keep-root \"$workspace\" || status=$?\n{after}\nexit $status"
    );
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "bash", "-c", &script])
        .env("workspace", place.workspace())
        .env("canary", place.path("canary"))
        .env("supervisor", place.supervisor())
        .env("odd", ODD);
    prepare(&mut command);
    run(command)
}

const NONE_LEFT: &str = r#"if grep -F "$workspace" /proc/self/mountinfo >&2; then exit 9; fi"#;

#[test]
fn all_kinds_are_detached_and_what_they_showed_is_intact() {
    for prepare in [(|_| {}) as fn(&mut Command), pre_exec::deny_openat2] {
        let place = Place::new(Who::Root);
        let wiped = scene(&place, Who::Root, MOUNTS, NONE_LEFT, prepare);
        wiped.assert_complete();
        place.assert_empty();
    }
}

#[test]
fn a_fuse_mount_whose_daemon_is_gone_is_detached() {
    let place = Place::new(Who::Root);
    let script = r#"
        mkdir -p "$workspace/fuse/below"
        exec 7<>/dev/fuse
        mount -i -t fuse -o fd=7,rootmode=40000,user_id=0,group_id=0 left "$workspace/fuse/below"
        exec 7>&-
        if ls "$workspace/fuse/below" 2>/dev/null; then exit 8; fi
    "#;
    let wiped = scene(&place, Who::Root, script, NONE_LEFT, |_| {});
    wiped.assert_complete();
    place.assert_empty();
}

#[test]
fn detaching_does_not_reach_the_mounts_it_was_copied_from() {
    let place = Place::new(Who::Root);
    let script = r#"
        mkdir "$workspace/copy" "$workspace/../shared"
        mount -t tmpfs tmpfs "$workspace/../shared"
        mount --make-shared "$workspace/../shared"
        mkdir "$workspace/../shared/inner"
        mount -t tmpfs tmpfs "$workspace/../shared/inner"
        : >"$workspace/../shared/inner/file"
        mount --rbind "$workspace/../shared" "$workspace/copy"
    "#;
    let after = r#"[ -e "$workspace/../shared/inner/file" ] || exit 9"#;
    let wiped = scene(&place, Who::Root, script, after, |_| {});
    wiped.assert_complete();
    place.assert_empty();
}

#[test]
fn mounts_that_cannot_be_detached_are_named_and_not_entered() {
    for prepare in [(|_| {}) as fn(&mut Command), pre_exec::deny_openat2] {
        let place = Place::new(Who::Runner);
        let script = r#"
            mkdir -p "$workspace"/{bind/deep,read-only,other}
            : >"$workspace/other/file"; : >"$workspace/target"
            chown -R 1000:1000 "$workspace"
            mount --bind "$canary" "$workspace/bind/deep"
            mount --bind "$canary" "$workspace/read-only"
            mount -o remount,bind,ro "$workspace/read-only"
            mount --bind "$canary/one" "$workspace/target"
        "#;
        let wiped = scene(&place, Who::Runner, script, "", prepare);
        for name in ["bind/deep", "read-only", "target"] {
            let cause = "EPERM (a mount that cannot be detached)";
            wiped.assert_left(&place.workspace().join(name), cause);
        }
        assert_eq!(wiped.count("leftover_count"), 4, "{wiped:?}");
        assert_eq!(wiped.count("files"), 1);
        place.assert_canary();
    }
}

#[test]
fn a_read_only_workspace_is_named() {
    let place = Place::new(Who::Root);
    let script = r#"
        : >"$workspace/file"
        mount --bind "$workspace" "$workspace"
        mount -o remount,bind,ro "$workspace"
    "#;
    let wiped = scene(&place, Who::Root, script, "", |_| {});
    wiped.assert_left(&place.workspace().join("file"), "EROFS");
}

#[test]
fn a_dry_run_and_one_without_any_time_detach_nothing() {
    let place = Place::new(Who::Root);
    for (flags, code) in [("--dry-run", 75), ("--budget 0s --keep-root", 75)] {
        let script = r#"mkdir -p "$workspace/mounted"; mount -t tmpfs tmpfs "$workspace/mounted""#;
        let wipe = format!("\"$supervisor\" wipe {flags} \"$workspace\" || status=$?");
        let look = "grep -q -F \"$workspace/mounted\" /proc/self/mountinfo || exit 9; exit $status";
        let mut command = Command::new("unshare");
        let script =
            format!("set -eu; mount --make-rprivate /; status=0\n{script}\n{wipe}\n{look}");
        command
            .args(["--mount", "bash", "-c", &script])
            .env("workspace", place.workspace())
            .env("supervisor", place.supervisor());
        let ended = run(command);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(
            ended.stderr.contains("workspace/mounted: EXDEV"),
            "{}",
            ended.stderr
        );
    }
}
