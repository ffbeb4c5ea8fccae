//! Trees far deeper than a path may be long, with few descriptors, and where pieces cannot be moved to the top.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use rustix::fs::{CWD, Mode, OFlags, Uid, fchown, mkdirat, openat};

use crate::place::{BOTH, Place, Who, run};
use linux::pre_exec;

const LEVELS: usize = 10_000;

/// A chain of directories with a file every hundred levels, owned by whoever wipes.
pub(crate) fn dig(place: &Place, levels: usize) {
    let owner = Some(Uid::from_raw(place.uid()));
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut here = openat(CWD, place.workspace(), flags, Mode::empty()).unwrap();
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
fn ten_thousand_levels_are_removed_and_counted() {
    for who in BOTH {
        let place = Place::in_memory(who);
        dig(&place, LEVELS);
        let preview = place.wipe(&["--dry-run"]);
        assert_eq!(preview.count("directories"), LEVELS as u64, "{preview:?}");
        assert_eq!(preview.count("files"), LEVELS as u64 / 100);
        let wiped = place.assert_wiped();
        assert_eq!(wiped.count("directories"), LEVELS as u64 + 1);
        assert_eq!(wiped.count("files"), LEVELS as u64 / 100);
    }
}

#[test]
fn few_descriptors_are_enough() {
    let place = Place::in_memory(Who::Runner);
    dig(&place, 2000);
    let mut command = place.command(&["--json"]);
    pre_exec::limit_open_files(&mut command, 16);
    command.arg(place.workspace());
    run(command).assert_complete();
    place.assert_gone();
}

#[test]
fn pieces_are_moved_to_wherever_they_may_be() {
    let place = Place::in_memory(Who::Runner);
    dig(&place, 3000);
    // The root and the next level belong to another: nothing can be moved there, and they stay themselves.
    fs::rename(place.path("workspace/d"), place.path("inner")).unwrap();
    fs::create_dir(place.path("workspace/theirs")).unwrap();
    fs::rename(place.path("inner"), place.path("workspace/theirs/d")).unwrap();
    for name in ["workspace/theirs", "workspace"] {
        nix::unistd::chown(&place.path(name), Some(0.into()), Some(0.into())).unwrap();
        fs::set_permissions(place.path(name), PermissionsExt::from_mode(0o755)).unwrap();
    }
    let mut command = place.command(&["--json", "--keep-root"]);
    pre_exec::limit_open_files(&mut command, 64);
    command.arg(place.workspace());
    let wiped = run(command);
    wiped.assert_left(&place.path("workspace/theirs/d"), "EACCES");
    assert_eq!(wiped.count("directories"), 2999);
    assert_eq!(wiped.count("leftover_count"), 2);
}

#[test]
fn names_that_pieces_might_get_cannot_be_occupied() {
    let place = Place::in_memory(Who::Root);
    // Names of pid and number could be foreseen: each of these is a directory that cannot be replaced, and deep.
    place.job("deep=$(printf 'd/%.0s' {1..60}); for n in {0..299}; do mkdir -p .wipe-moved-1-$n/$deep; done");
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork"]).arg(place.supervisor());
    command.args(["wipe", "--json"]).arg(place.workspace());
    pre_exec::limit_open_files(&mut command, 32);
    run(command).assert_complete();
    place.assert_gone();
}

#[test]
fn a_second_look_ends_at_a_depth_that_it_names() {
    let place = Place::in_memory(Who::Root);
    dig(&place, 70_000);
    let preview = place.wipe(&["--dry-run"]);
    assert!(preview.count("directories") > 60_000);
    assert!(preview.peak_memory < crate::memory::LIMIT);
    place.assert_wiped();
}
