//! The fake is as slow and as silent as the real runner was, and so the other tests of this program can be believed.

use std::process::Command;

use crate::fake::{Built, sources};

#[test]
fn the_fake_ends_as_the_real_runner_did() {
    let results = tempfile::tempdir().unwrap();
    let checked = Command::new("/usr/bin/python3")
        .arg("-B")
        .arg(sources().join("cases.py"))
        .arg("check")
        .arg("all")
        .env("FAKE", Built::get().runner())
        .env("SUPERVISOR", Built::get().supervisor())
        .env("RESULTS", results.path())
        .env("FACTS", "runner")
        .env("SECONDS_AT_LEAST", "1")
        // They mostly wait.
        .env("JOBS", "12")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success(), "{said}");
    assert!(said.contains("62 of 62 cases"), "{said}");
}
