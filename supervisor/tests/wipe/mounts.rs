//! Mounts that a job left in the workspace: the wipe detaches or names them, and never enters them.

use std::process::Command;

use crate::fixture::{Fixture, User};
use crate::process::{Finished, run};
use linux::pre_exec;

/// Mounts of every kind beneath `$workspace`. Each contains a file that must stay.
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

/// A name that the kernel escapes in its list of mounts.
const ODD: &str = "a b\tc\nd\\e\u{e4}";

/// In a new mount namespace, runs `script` as root, wipes as `user`, then runs the check `after`.
fn run_in_mount_namespace(
    fixture: &Fixture,
    user: User,
    script: &str,
    after: &str,
    prepare: fn(&mut Command),
) -> Finished {
    let wipe = match user {
        User::Root => "",
        User::Runner => {
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
        .env("workspace", fixture.workspace())
        .env("canary", fixture.path("canary"))
        .env("supervisor", fixture.supervisor())
        .env("odd", ODD);
    prepare(&mut command);
    run(command)
}

const NONE_LEFT: &str = r#"if grep -F "$workspace" /proc/self/mountinfo >&2; then exit 9; fi"#;

#[test]
fn wipe_detaches_all_kinds_of_mounts_and_keeps_their_files() {
    for prepare in [(|_| {}) as fn(&mut Command), pre_exec::deny_openat2] {
        let fixture = Fixture::new(User::Root);
        let wiped = run_in_mount_namespace(&fixture, User::Root, MOUNTS, NONE_LEFT, prepare);
        wiped.assert_complete();
        fixture.assert_empty();
    }
}

#[test]
fn wipe_detaches_a_fuse_mount_without_a_server() {
    let fixture = Fixture::new(User::Root);
    let script = r#"
        mkdir -p "$workspace/fuse/below"
        exec 7<>/dev/fuse
        mount -i -t fuse -o fd=7,rootmode=40000,user_id=0,group_id=0 left "$workspace/fuse/below"
        exec 7>&-
        if ls "$workspace/fuse/below" 2>/dev/null; then exit 8; fi
    "#;
    let wiped = run_in_mount_namespace(&fixture, User::Root, script, NONE_LEFT, |_| {});
    wiped.assert_complete();
    fixture.assert_empty();
}

#[test]
fn detaching_a_copied_mount_keeps_the_original() {
    let fixture = Fixture::new(User::Root);
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
    let wiped = run_in_mount_namespace(&fixture, User::Root, script, after, |_| {});
    wiped.assert_complete();
    fixture.assert_empty();
}

#[test]
fn wipe_names_mounts_that_it_cannot_detach() {
    for prepare in [(|_| {}) as fn(&mut Command), pre_exec::deny_openat2] {
        let fixture = Fixture::new(User::Runner);
        let script = r#"
            mkdir -p "$workspace"/{bind/deep,read-only,other}
            : >"$workspace/other/file"; : >"$workspace/target"
            chown -R 1000:1000 "$workspace"
            mount --bind "$canary" "$workspace/bind/deep"
            mount --bind "$canary" "$workspace/read-only"
            mount -o remount,bind,ro "$workspace/read-only"
            mount --bind "$canary/one" "$workspace/target"
        "#;
        let wiped = run_in_mount_namespace(&fixture, User::Runner, script, "", prepare);
        for name in ["bind/deep", "read-only", "target"] {
            let cause = "EPERM (a mount that cannot be detached)";
            wiped.assert_leftover(&fixture.workspace().join(name), cause);
        }
        assert_eq!(wiped.count("leftover_count"), 4, "{wiped:?}");
        assert_eq!(wiped.count("files"), 1);
        fixture.assert_canary();
    }
}

#[test]
fn wipe_names_files_on_a_read_only_mount() {
    let fixture = Fixture::new(User::Root);
    let script = r#"
        : >"$workspace/file"
        mount --bind "$workspace" "$workspace"
        mount -o remount,bind,ro "$workspace"
    "#;
    let wiped = run_in_mount_namespace(&fixture, User::Root, script, "", |_| {});
    wiped.assert_leftover(&fixture.workspace().join("file"), "EROFS");
}

#[test]
fn dry_run_and_zero_budget_detach_nothing() {
    let fixture = Fixture::new(User::Root);
    for (flags, code) in [("--dry-run", 75), ("--budget 0s --keep-root", 75)] {
        let script = r#"mkdir -p "$workspace/mounted"; mount -t tmpfs tmpfs "$workspace/mounted""#;
        let wipe = format!("\"$supervisor\" wipe {flags} \"$workspace\" || status=$?");
        let check =
            "grep -q -F \"$workspace/mounted\" /proc/self/mountinfo || exit 9; exit $status";
        let mut command = Command::new("unshare");
        let script =
            format!("set -eu; mount --make-rprivate /; status=0\n{script}\n{wipe}\n{check}");
        command
            .args(["--mount", "bash", "-c", &script])
            .env("workspace", fixture.workspace())
            .env("supervisor", fixture.supervisor());
        let ended = run(command);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(
            ended.stderr.contains("workspace/mounted: EXDEV"),
            "{}",
            ended.stderr
        );
    }
}
