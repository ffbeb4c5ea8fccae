//! The fake is as slow and as silent as the real runner was, and so the other tests of this program can be believed.

use std::process::Command;

use crate::fake::{Built, sources};

/// The cases in which a job, or a runner without one, ends by a signal or by GitHub's word.
const CASES: [&str; 25] = [
    "canceled",
    "canceled-all",
    "canceled-obedient",
    "canceled-stubborn",
    "int-idle",
    "int-no-session",
    "drain",
    "steps-term",
    "steps-kill",
    "steps-int",
    "background",
    "worker-killed",
    "worker-term",
    "worker-term-stubborn",
    "listener-term",
    "listener-term-idle",
    "listener-term-stuck",
    "listener-hup-idle",
    "listener-quit-idle",
    "listener-int-twice",
    "complete-404",
    "complete-500",
    "hook-started-fails",
    "hook-completed-fails",
    "shutdown",
];

#[test]
fn the_fake_ends_as_the_real_runner_did() {
    let results = tempfile::tempdir().unwrap();
    let checked = Command::new("/usr/bin/python3")
        .arg("-B")
        .arg(sources().join("cases.py"))
        .arg("check")
        .args(CASES)
        .env("FAKE", Built::get().runner())
        .env("SUPERVISOR", Built::get().supervisor())
        .env("RESULTS", results.path())
        .env("FACTS", "runner")
        .env("SECONDS_AT_LEAST", "1")
        .env("JOBS", "6")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success(), "{said}");
    assert!(said.contains("25 of 25 cases"), "{said}");
}
