//! Somebody goes on writing: the wipe ends all the same.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::fs::{Mode, mkdirat};

use crate::place::{BOTH, Place, Who};

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
            wipe_until_over(&place, &over);
        });
        place.own_all();
        place.assert_wiped();
    }
}

/// Wipes, and ends the writer, also where the wipe panics: its thread would be waited for without end.
fn wipe_until_over(place: &Place, over: &AtomicBool) {
    let wipe = std::panic::AssertUnwindSafe(|| place.wipe(&["--keep-root"]));
    let wiped = std::panic::catch_unwind(wipe);
    over.store(true, Ordering::Relaxed);
    let wiped = wiped.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    assert!(matches!(wiped.code, Some(0 | 75)), "{wiped:?}");
}

#[test]
fn a_writer_of_files_is_not_waited_for() {
    wipe_against(|workspace, round| {
        let _ = std::fs::write(workspace.join(round.to_string()), "x");
    });
}

/// As fast as the kernel makes them, and never the same name again.
#[test]
fn nor_is_one_that_makes_directories_faster_than_they_are_removed() {
    let place = Place::new(Who::Root);
    let workspace = std::fs::File::open(place.workspace()).unwrap();
    let over = AtomicBool::new(false);
    let made = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0_u64.. {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let name = format!("d1-{round}");
                made.fetch_add(
                    u64::from(mkdirat(&workspace, name, Mode::RWXU).is_ok()),
                    Ordering::Relaxed,
                );
            }
        });
        while made.load(Ordering::Relaxed) < 1000 {
            std::thread::yield_now();
        }
        wipe_until_over(&place, &over);
    });
    place.assert_wiped();
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
