//! Random trees and random hostile operations. A failure names its seed; `WIPE_SEED=N` runs that seed alone.

use std::sync::atomic::{AtomicBool, Ordering};

use test_support::hostile_tree;

use crate::fixture::{Fixture, USERS};

const SEEDS: u64 = 24;

fn seeds() -> Vec<u64> {
    match std::env::var("WIPE_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..SEEDS).collect(),
    }
}

#[test]
fn wipe_removes_random_trees_and_keeps_the_canary() {
    for seed in seeds() {
        for user in USERS {
            let fixture = if seed % 4 == 0 {
                Fixture::new(user)
            } else {
                Fixture::in_memory(user)
            };
            println!("WIPE_SEED={seed} {user:?}");
            let bytes = hostile_tree::bytes(seed, 600);
            hostile_tree::build(&fixture.workspace(), &fixture.path("canary"), &bytes);
            fixture.chown_workspace();
            // The tree may have hard links to the canary's file, which changes its owner too.
            let wiped = fixture.wipe(&[]);
            wiped.assert_complete();
            fixture.assert_gone();
        }
    }
}

#[test]
fn random_operations_during_a_wipe_spare_the_canary() {
    for seed in seeds().into_iter().take(8) {
        for user in USERS {
            let fixture = if seed % 4 == 0 {
                Fixture::new(user)
            } else {
                Fixture::in_memory(user)
            };
            println!("WIPE_SEED={seed} {user:?}");
            let (root, canary) = (fixture.workspace(), fixture.path("canary"));
            hostile_tree::build(&root, &canary, &hostile_tree::bytes(seed, 400));
            fixture.chown_workspace();
            let over = AtomicBool::new(false);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    for round in 0.. {
                        if over.load(Ordering::Relaxed) {
                            return;
                        }
                        let bytes = hostile_tree::bytes(seed ^ (round << 32), 100);
                        hostile_tree::build(&root, &canary, &bytes);
                    }
                });
                let wiped = [(); 3].map(|()| fixture.wipe(&["--keep-root"]));
                over.store(true, Ordering::Relaxed);
                for wiped in wiped {
                    // New entries may remain, so both exit codes are right.
                    assert!(matches!(wiped.code, Some(0 | 75)), "{wiped:?}");
                }
            });
            fixture.chown_workspace();
            fixture.wipe_completely();
        }
    }
}
