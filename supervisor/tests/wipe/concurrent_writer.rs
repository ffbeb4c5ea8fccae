//! A process goes on writing during the wipe, which ends nevertheless.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::fs::{Mode, mkdirat};

use crate::fixture::{Fixture, USERS, User};

/// Calls `write` again and again during a wipe without a budget.
fn wipe_against(write: impl Fn(&Path, u64) + Sync) {
    for user in USERS {
        let fixture = Fixture::new(user);
        let (started, over) = (AtomicBool::new(false), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0.. {
                    write(&fixture.workspace(), round);
                    started.store(true, Ordering::Relaxed);
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                }
            });
            while !started.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            wipe_until_over(&fixture, &over);
        });
        fixture.chown_workspace();
        fixture.wipe_completely();
    }
}

/// Wipes, then ends the writer. A panic must end the writer too, or the test would wait for its thread.
fn wipe_until_over(fixture: &Fixture, over: &AtomicBool) {
    let wipe = std::panic::AssertUnwindSafe(|| fixture.wipe(&["--keep-root"]));
    let wiped = std::panic::catch_unwind(wipe);
    over.store(true, Ordering::Relaxed);
    let wiped = wiped.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    assert!(matches!(wiped.code, Some(0 | 75)), "{wiped:?}");
}

#[test]
fn wipe_ends_despite_a_writer_of_files() {
    wipe_against(|workspace, round| {
        let _ = std::fs::write(workspace.join(round.to_string()), "x");
    });
}

/// The kernel makes them as fast as it can, and no name appears twice.
#[test]
fn wipe_ends_despite_a_fast_maker_of_directories() {
    let fixture = Fixture::new(User::Root);
    let workspace = std::fs::File::open(fixture.workspace()).unwrap();
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
        wipe_until_over(&fixture, &over);
    });
    fixture.wipe_completely();
}

#[test]
fn wipe_ends_despite_a_writer_of_directories() {
    wipe_against(|workspace, round| {
        let _ = std::fs::create_dir_all(workspace.join(format!("{}/{round}/x", round % 7)));
    });
}

#[test]
fn wipe_ends_despite_a_writer_of_the_same_names() {
    wipe_against(|workspace, _| {
        let _ = std::fs::create_dir_all(workspace.join("again/and/again"));
        let _ = std::fs::write(workspace.join("again/and/file"), "x");
    });
}
