//! Trees much deeper than the longest path, with few descriptors, and with levels to which nothing can be moved.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use rustix::fs::{CWD, Mode, OFlags, Uid, fchown, mkdirat, openat};

use crate::fixture::{Fixture, USERS, User};
use crate::process::run;
use linux::pre_exec;

const LEVELS: usize = 10_000;

/// Makes a chain of directories with a file every hundred levels. The user that wipes owns it.
pub(crate) fn make_chain(fixture: &Fixture, levels: usize) {
    let owner = Some(Uid::from_raw(fixture.uid()));
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut here = openat(CWD, fixture.workspace(), flags, Mode::empty()).unwrap();
    for level in 1..=levels {
        mkdirat(&here, "d", Mode::RWXU).unwrap();
        here = openat(&here, "d", flags, Mode::empty()).unwrap();
        fchown(&here, owner, None).unwrap();
        if level % 100 == 0 {
            let create = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
            openat(&here, "file", create, Mode::RUSR).unwrap();
        }
    }
}

#[test]
fn wipe_removes_and_counts_ten_thousand_levels() {
    for user in USERS {
        let fixture = Fixture::in_memory(user);
        make_chain(&fixture, LEVELS);
        let preview = fixture.wipe(&["--dry-run"]);
        assert_eq!(preview.count("directories"), LEVELS as u64, "{preview:?}");
        assert_eq!(preview.count("files"), LEVELS as u64 / 100);
        let wiped = fixture.wipe_completely();
        assert_eq!(wiped.count("directories"), LEVELS as u64 + 1);
        assert_eq!(wiped.count("files"), LEVELS as u64 / 100);
    }
}

#[test]
fn wipe_works_with_16_descriptors() {
    let fixture = Fixture::in_memory(User::Runner);
    make_chain(&fixture, 2000);
    let mut command = fixture.command(&["--json"]);
    pre_exec::limit_open_files(&mut command, 16);
    command.arg(fixture.workspace());
    run(command).assert_complete();
    fixture.assert_gone();
}

#[test]
fn deep_directories_move_to_the_first_writable_level() {
    let fixture = Fixture::in_memory(User::Runner);
    make_chain(&fixture, 3000);
    // The root and the next level belong to another user. Nothing can be moved there, and they stay themselves.
    fs::rename(fixture.path("workspace/d"), fixture.path("inner")).unwrap();
    fs::create_dir(fixture.path("workspace/theirs")).unwrap();
    fs::rename(fixture.path("inner"), fixture.path("workspace/theirs/d")).unwrap();
    for name in ["workspace/theirs", "workspace"] {
        chown(fixture.path(name), Some(0), Some(0)).unwrap();
        fs::set_permissions(fixture.path(name), PermissionsExt::from_mode(0o755)).unwrap();
    }
    let mut command = fixture.command(&["--json", "--keep-root"]);
    pre_exec::limit_open_files(&mut command, 64);
    command.arg(fixture.workspace());
    let wiped = run(command);
    wiped.assert_leftover(&fixture.path("workspace/theirs/d"), "EACCES");
    assert_eq!(wiped.count("directories"), 2999);
    assert_eq!(wiped.count("leftover_count"), 2);
}

#[test]
fn deep_directories_move_despite_occupied_names() {
    let fixture = Fixture::in_memory(User::Root);
    // A process can predict names of a pid and a number. Each of these is a deep directory, which rename(2) cannot replace.
    fixture.run_script("deep=$(printf 'd/%.0s' {1..60}); for n in {0..299}; do mkdir -p .wipe-moved-1-$n/$deep; done");
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork"]).arg(fixture.supervisor());
    command.args(["wipe", "--json"]).arg(fixture.workspace());
    pre_exec::limit_open_files(&mut command, 32);
    run(command).assert_complete();
    fixture.assert_gone();
}

#[test]
fn dry_run_names_the_depth_at_which_it_ends() {
    let fixture = Fixture::in_memory(User::Root);
    make_chain(&fixture, 70_000);
    let preview = fixture.wipe(&["--dry-run"]);
    assert!(preview.count("directories") > 60_000);
    assert!(preview.peak_memory < crate::memory::LIMIT);
    fixture.wipe_completely();
}
