//! Something swaps directories for symlinks, and mounts, while the wipe runs: it is never led out.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::place::{BOTH, Place, Who, run};
use linux::pre_exec;

/// Directories with files in them, and a symlink to the canary beside each.
fn lay_out(place: &Place) {
    for number in 0..PAIRS {
        let directory = place.directory_of_the_job(&format!("workspace/d{number}/below"));
        for file in 0..8 {
            std::fs::write(directory.join(format!("{file}")), "x").unwrap();
        }
        let link = place.path(format!("workspace/l{number}"));
        std::os::unix::fs::symlink(place.path("canary"), link).unwrap();
    }
    place.own_all();
}

const PAIRS: usize = 60;

/// Exchanges each directory and its symlink, again and again: at any moment one of both names is a symlink.
fn exchange(workspace: &Path, over: &AtomicBool) -> u64 {
    let mut done = 0;
    while !over.load(Ordering::Relaxed) {
        for number in 0..PAIRS {
            for (one, other) in [("d", "l"), ("d", "d0/x"), ("l", "d0/below")] {
                let (one, other) = (format!("{one}{number}"), format!("{other}{number}"));
                let paths = (workspace.join(one), workspace.join(other));
                let flags = RenameFlags::EXCHANGE;
                done += u64::from(renameat_with(CWD, paths.0, CWD, paths.1, flags).is_ok());
            }
        }
    }
    done
}

fn race(who: Who, prepare: fn(&mut Command)) {
    let mut exchanged = 0;
    for _ in 0..12 {
        let place = Place::new(who);
        lay_out(&place);
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let racer = scope.spawn(|| exchange(&place.workspace(), &over));
            let mut command = place.command(&["--json", "--keep-root"]);
            prepare(&mut command);
            let wiped = run(command.arg_of(&place));
            over.store(true, Ordering::Relaxed);
            assert!(matches!(wiped.code, Some(0 | 75)), "{wiped:?}");
            exchanged += racer.join().unwrap();
        });
        place.assert_canary();
        place.assert_wiped();
    }
    assert!(exchanged > 0, "the racer never won a single exchange");
}

trait ArgOf {
    fn arg_of(self, place: &Place) -> Command;
}

impl ArgOf for Command {
    fn arg_of(mut self, place: &Place) -> Command {
        self.arg(place.workspace());
        self
    }
}

#[test]
fn exchanged_directories_and_symlinks_never_lead_to_the_canary() {
    for who in BOTH {
        race(who, |_| {});
    }
}

#[test]
fn nor_do_they_on_a_kernel_without_openat2() {
    for who in BOTH {
        race(who, pre_exec::deny_openat2);
    }
}

#[test]
fn a_bind_mount_that_comes_and_goes_is_never_entered() {
    for prepare in [(|_| {}) as fn(&mut Command), pre_exec::deny_openat2] {
        let place = Place::new(Who::Root);
        let script = r#"
            set -eu
            mount --make-rprivate /
            racer() {
                while :; do
                    mkdir -p "$workspace/m/below" "$workspace/n" || continue
                    mount --bind "$canary" "$workspace/m/below" || continue
                    mount --bind "$canary" "$workspace/n" || continue
                    umount -l "$workspace/n" "$workspace/m/below" || continue
                done 2>/dev/null
            }
            racer & racer=$!
            status=0
            for round in {1..40}; do
                mkdir -p "$workspace"/{a,b,c}/{d,e,f}
                "$supervisor" wipe --keep-root "$workspace" >/dev/null 2>&1 || status=$?
                [ "$status" = 0 ] || [ "$status" = 75 ] || exit 9
            done
            kill "$racer"; wait "$racer" || true
            umount -l "$workspace"/m/below "$workspace"/n 2>/dev/null || true
            umount -l "$workspace"/m/below "$workspace"/n 2>/dev/null || true
        "#;
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "bash", "-c", script])
            .env("workspace", place.workspace())
            .env("canary", place.path("canary"))
            .env("supervisor", place.supervisor());
        prepare(&mut command);
        let ended = run(command);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        place.assert_wiped();
    }
}
