//! Random trees and random hostile operations. A failure names its seed; `WIPE_SEED=N` runs that one alone.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::hostile;
use crate::place::{BOTH, Place};

const SEEDS: u64 = 24;

fn seeds() -> Vec<u64> {
    match std::env::var("WIPE_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..SEEDS).collect(),
    }
}

#[test]
fn any_tree_is_removed_and_the_canary_stays() {
    for seed in seeds() {
        for who in BOTH {
            let place = if seed % 4 == 0 {
                Place::new(who)
            } else {
                Place::in_memory(who)
            };
            println!("WIPE_SEED={seed} {who:?}");
            let bytes = hostile::bytes(seed, 600);
            hostile::build(&place.workspace(), &place.path("canary"), &bytes);
            place.own_all();
            // Links to the canary's own file: who owns it, owns it there too.
            let wiped = place.wipe(&[]);
            wiped.assert_complete();
            place.assert_gone();
        }
    }
}

#[test]
fn operations_while_it_wipes_lead_nowhere_else() {
    for seed in seeds().into_iter().take(8) {
        for who in BOTH {
            let place = if seed % 4 == 0 {
                Place::new(who)
            } else {
                Place::in_memory(who)
            };
            println!("WIPE_SEED={seed} {who:?}");
            let (root, canary) = (place.workspace(), place.path("canary"));
            hostile::build(&root, &canary, &hostile::bytes(seed, 400));
            place.own_all();
            let over = AtomicBool::new(false);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    for round in 0.. {
                        if over.load(Ordering::Relaxed) {
                            return;
                        }
                        let bytes = hostile::bytes(seed ^ (round << 32), 100);
                        hostile::build(&root, &canary, &bytes);
                    }
                });
                let wiped = [(); 3].map(|()| place.wipe(&["--keep-root"]));
                over.store(true, Ordering::Relaxed);
                for wiped in wiped {
                    // Whether it can be complete is a matter of luck now.
                    assert!(matches!(wiped.code, Some(0 | 75)), "{wiped:?}");
                }
            });
            place.own_all();
            place.assert_wiped();
        }
    }
}
