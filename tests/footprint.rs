//! How small the binary is, and how little memory it holds while a job runs.
#![allow(clippy::unwrap_used, missing_docs)]

use std::process::{Command, Stdio};

use support::{supervisor, wait_for};

#[test]
fn the_binary_is_static_and_small() {
    let size = std::fs::metadata(supervisor()).unwrap().len();
    assert!(size < 4 << 20, "{size} bytes");
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

#[test]
fn idle_it_holds_less_than_two_megabytes() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = Command::new(supervisor())
        .args([
            "run",
            "--flavor",
            "exec",
            "--no-preflight",
            "--storage-driver",
            "none",
            "--workspace",
        ])
        .arg(directory.path().join("workspace"))
        .args(["--", "sleep", "1000"])
        .env("SUPERVISOR_RUNTIME_DIRECTORY", directory.path().join("run"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid = child.id();
    wait_for("the runner", || runs_its_job(pid).then_some(()));
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    Command::new("kill").arg(pid.to_string()).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    let kib = |field: &str| -> u64 {
        let line = rollup.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    println!("RSS {} KiB, PSS {} KiB", kib("Rss:"), kib("Pss:"));
    assert!(kib("Rss:") < 2048 && kib("Pss:") < 1536, "{rollup}");
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
