//! Takes memory as fast as it can: `memory-hog threads|processes|waves COUNT MIB`.
//!
//! `threads` and `processes` take MIB each, all at once. `waves` takes and gives back MIB, COUNT times.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::hint::black_box;
use std::process::Command;
use std::time::Duration;

const MIB: usize = 1 << 20;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kind, count, mib] = arguments.as_slice() else {
        panic!("expected a kind, a count and a size");
    };
    let (count, mib): (usize, usize) = (count.parse().unwrap(), mib.parse().unwrap());
    match kind.as_str() {
        "threads" => {
            let threads: Vec<_> = (0..count)
                .map(|_| std::thread::spawn(move || keep(mib)))
                .collect();
            threads
                .into_iter()
                .for_each(|thread| thread.join().unwrap());
        }
        "processes" => {
            let program = std::env::current_exe().unwrap();
            let size = mib.to_string();
            // A fork that fails is the end of this one.
            let children: Vec<_> = (0..count)
                .map_while(|_| {
                    Command::new(&program)
                        .args(["threads", "1", &size])
                        .spawn()
                        .ok()
                })
                .collect();
            for mut child in children {
                child.wait().unwrap();
            }
        }
        "waves" => {
            for _ in 0..count {
                drop(taken(mib));
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        _ => panic!("unknown kind {kind}"),
    }
}

fn taken(mib: usize) -> Vec<Vec<u8>> {
    (0..mib).map(|_| black_box(vec![1; MIB])).collect()
}

fn keep(mib: usize) {
    let memory = taken(mib);
    std::thread::sleep(Duration::from_secs(30));
    drop(memory);
}
