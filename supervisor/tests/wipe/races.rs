//! A process swaps directories for symlinks and mounts during the wipe, which never leaves the workspace.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::fixture::{Fixture, USERS, User};
use crate::process::run;
use linux::pre_exec;

/// Makes directories with files, and a symlink to the canary beside each.
fn lay_out(fixture: &Fixture) {
    for number in 0..PAIRS {
        let directory = fixture.owned_directory(&format!("workspace/d{number}/below"));
        for file in 0..8 {
            std::fs::write(directory.join(format!("{file}")), "x").unwrap();
        }
        let link = fixture.path(format!("workspace/l{number}"));
        std::os::unix::fs::symlink(fixture.path("canary"), link).unwrap();
    }
    fixture.chown_workspace();
}

const PAIRS: usize = 60;

/// Swaps each directory and its symlink again and again. At any moment one of the two names is a symlink.
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

fn race(user: User, prepare: fn(&mut Command)) {
    let mut exchanged = 0;
    for _ in 0..12 {
        let fixture = Fixture::new(user);
        lay_out(&fixture);
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let racer = scope.spawn(|| exchange(&fixture.workspace(), &over));
            let mut command = fixture.command(&["--json", "--keep-root"]);
            prepare(&mut command);
            let wiped = run(command.arg_of(&fixture));
            over.store(true, Ordering::Relaxed);
            assert!(matches!(wiped.code, Some(0 | 75)), "{wiped:?}");
            exchanged += racer.join().unwrap();
        });
        fixture.assert_canary();
        fixture.wipe_completely();
    }
    assert!(exchanged > 0, "the racer never won a single exchange");
}

trait ArgOf {
    fn arg_of(self, fixture: &Fixture) -> Command;
}

impl ArgOf for Command {
    fn arg_of(mut self, fixture: &Fixture) -> Command {
        self.arg(fixture.workspace());
        self
    }
}

#[test]
fn swapped_symlinks_never_lead_to_the_canary() {
    for user in USERS {
        race(user, |_| {});
    }
}

#[test]
fn swapped_symlinks_are_harmless_without_openat2() {
    for user in USERS {
        race(user, pre_exec::deny_openat2);
    }
}

#[test]
fn wipe_never_enters_a_bind_mount_that_comes_and_goes() {
    for prepare in [(|_| {}) as fn(&mut Command), pre_exec::deny_openat2] {
        let fixture = Fixture::new(User::Root);
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
            .env("workspace", fixture.workspace())
            .env("canary", fixture.path("canary"))
            .env("supervisor", fixture.supervisor());
        prepare(&mut command);
        let ended = run(command);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        fixture.wipe_completely();
    }
}
