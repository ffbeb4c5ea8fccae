//! Takes memory as fast as it can: `memory-hog threads|slow|processes|bomb|sockets|waves COUNT MIB`.
//!
//! `threads` and `processes` take MIB each, all at once; `slow` takes one after COUNT milliseconds. A `bomb` takes MIB and starts two
//! of its kind, COUNT generations deep. `sockets` fills COUNT pairs of sockets, MIB in all: the kernel's memory, which belongs to no
//! process. `waves` takes and gives back MIB, COUNT times.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::hint::black_box;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

const MIB: usize = 1 << 20;
/// How long the memory is kept.
const KEPT: Duration = Duration::from_secs(30);

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
        "slow" => {
            let pause = Duration::from_millis(u64::try_from(count).unwrap());
            let one = |_| {
                std::thread::sleep(pause);
                taken(1)
            };
            let _kept: Vec<_> = (0..mib).map(one).collect();
            std::thread::sleep(KEPT);
        }
        "processes" => {
            let one = ["threads".to_owned(), "1".to_owned(), mib.to_string()];
            start_and_wait(count, &one);
        }
        "bomb" => {
            let _kept = taken(mib);
            let next = count.saturating_sub(1).to_string();
            let of_its_kind = ["bomb".to_owned(), next, mib.to_string()];
            start_and_wait(if count > 0 { 2 } else { 0 }, &of_its_kind);
            std::thread::sleep(KEPT);
        }
        "sockets" => {
            let _kept = filled(count, mib);
            std::thread::sleep(KEPT);
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

/// A fork that fails is the end of this one.
fn start_and_wait(count: usize, arguments: &[String]) {
    let program = std::env::current_exe().unwrap();
    let start = |_| Command::new(&program).args(arguments).spawn().ok();
    let children: Vec<_> = (0..count).map_while(start).collect();
    for mut child in children {
        child.wait().unwrap();
    }
}

/// Sockets whose other ends are never read.
fn filled(count: usize, mib: usize) -> Vec<(UnixStream, UnixStream)> {
    let mut left = mib * MIB;
    let mut pairs = Vec::new();
    while left > 0 && pairs.len() < count {
        let (mut near, far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        while let Ok(written) = near.write(&[1; 32 << 10]) {
            left = left.saturating_sub(written);
        }
        pairs.push((near, far));
    }
    pairs
}

fn taken(mib: usize) -> Vec<Vec<u8>> {
    (0..mib).map(|_| black_box(vec![1; MIB])).collect()
}

fn keep(mib: usize) {
    let memory = taken(mib);
    std::thread::sleep(KEPT);
    drop(memory);
}
