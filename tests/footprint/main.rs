//! How small the binary is, and how little memory it holds while a job runs.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use support::supervisor;
use test_support::eventually;

#[test]
fn the_binary_is_static_and_small() {
    let size = std::fs::metadata(supervisor()).unwrap().len();
    // It also holds the translation of docker's command lines, the rewriting of Dockerfiles and the evaluation of bake files.
    // The memory of PID 1 does not grow with the file, as the next test shows.
    assert!(size < 5_600_000, "{size} bytes");
    let headers = Command::new("readelf")
        .args(["--wide", "--program-headers"])
        .arg(supervisor())
        .output();
    let headers = String::from_utf8(headers.unwrap().stdout).unwrap();
    assert!(
        headers.contains("LOAD") && !headers.contains("INTERP"),
        "{headers}"
    );
}

/// In KiB, while it waits for its job.
#[derive(Debug)]
struct Memory {
    /// Heap, stack and relocated constants: what each further supervisor costs.
    own: u64,
    /// Pages of its own file, which all supervisors of a node share.
    of_its_file: u64,
}

/// How much of a file is mapped around a page fault depends on how it lies in the page cache: in single pages or in large
/// folios, up to all of the file. So it is measured in each state.
#[test]
fn idle_it_holds_little_memory() {
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("supervisor");
    std::fs::copy(supervisor(), &copy).unwrap();
    // The kernel drops only pages that are on the disk.
    let file = File::open(&copy).unwrap();
    file.sync_all().unwrap();
    let drop_cache =
        || posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).unwrap();
    let states: [(&str, &dyn Fn()); 3] = [
        ("as written", &|| {}),
        ("as read from end to end", &|| {
            drop_cache();
            std::fs::read(&copy).unwrap();
        }),
        ("not cached", &drop_cache),
    ];
    for (state, prepare) in states {
        prepare();
        let memory = idle(&copy);
        println!("{state}: {memory:?}");
        // Its own memory includes the constants that the start relocates, also those of the clients, which PID 1 never uses.
        assert!(memory.own < 448, "{state}: {memory:?}");
        assert!(
            memory.own + memory.of_its_file < 1152,
            "{state}: {memory:?}"
        );
    }
}

fn idle(program: &Path) -> Memory {
    let directory = tempfile::tempdir().unwrap();
    let mut child = Command::new(program)
        .args(["run", "--flavor", "exec", "--no-preflight"])
        .args(["--storage-driver", "none", "--workspace"])
        .arg(directory.path().join("workspace"))
        .args(["--", "sleep", "1000"])
        .env("SUPERVISOR_RUNTIME_DIRECTORY", directory.path().join("run"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid = child.id();
    eventually("the runner", || runs_its_job(pid).then_some(()));
    eventually("the supervisor to wait", || waits(pid).then_some(()));
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    Command::new("kill").arg(pid.to_string()).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    let kib = |field: &str| -> u64 {
        let line = rollup.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let own = kib("Anonymous:");
    Memory {
        own,
        of_its_file: kib("Rss:") - own,
    }
}

/// Whether it sleeps: with its job running, all is done that it does before.
fn waits(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.contains("\nState:\tS")
}

/// Whether the child of `pid` has become the job.
fn runs_its_job(pid: u32) -> bool {
    let read = |path: String| std::fs::read_to_string(path).unwrap_or_default();
    let children = read(format!("/proc/{pid}/task/{pid}/children"));
    let names = children
        .split_whitespace()
        .map(|child| read(format!("/proc/{child}/comm")));
    names.into_iter().any(|name| name.trim() == "sleep")
}
