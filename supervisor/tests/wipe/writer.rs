//! Somebody goes on writing: the wipe ends all the same.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::place::{BOTH, Place};

/// Runs `write` again and again while the workspace is wiped, without a budget.
fn wipe_against(write: impl Fn(&Path, u64) + Sync) {
    for who in BOTH {
        let place = Place::new(who);
        let (started, over) = (AtomicBool::new(false), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0.. {
                    write(&place.workspace(), round);
                    started.store(true, Ordering::Relaxed);
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                }
            });
            while !started.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            let wiped = place.wipe(&["--keep-root"]);
            over.store(true, Ordering::Relaxed);
            assert!(matches!(wiped.code, Some(0 | 75)), "{wiped:?}");
        });
        place.own_all();
        place.assert_wiped();
    }
}

#[test]
fn a_writer_of_files_is_not_waited_for() {
    wipe_against(|workspace, round| {
        let _ = std::fs::write(workspace.join(round.to_string()), "x");
    });
}

#[test]
fn nor_is_one_of_directories() {
    wipe_against(|workspace, round| {
        let _ = std::fs::create_dir_all(workspace.join(format!("{}/{round}/x", round % 7)));
    });
}

#[test]
fn nor_is_one_that_puts_everything_back_under_the_same_name() {
    wipe_against(|workspace, _| {
        let _ = std::fs::create_dir_all(workspace.join("again/and/again"));
        let _ = std::fs::write(workspace.join("again/and/file"), "x");
    });
}
