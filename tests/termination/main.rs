//! SIGTERM in the middle of a build: the job ends within its grace, and nothing of it is left.
#![allow(clippy::unwrap_used, missing_docs)]

use std::process::Command;

use support::{Ended, Job, Running, fixture, podman};

/// What the slow fixture's RUN step sleeps for: no other process on the machine does.
const MARK: &str = "sleep 86398";

fn building() -> Running {
    let mut running = Job::of(&fixture("slow")).start();
    running.wait_for_text("| building-now");
    running
}

fn assert_ended(ended: &Ended) {
    assert_eq!(ended.code(), Some(143), "{}", ended.log);
    assert_eq!(ended.report()["reason"], "terminated");
    ended.assert_nothing_is_left();
    let found = Command::new("pgrep")
        .args(["--full", "--exact", MARK])
        .output()
        .unwrap();
    assert!(
        found.stdout.is_empty(),
        "{}",
        String::from_utf8_lossy(&found.stdout)
    );
}

#[test]
fn ends_a_build_after_sigterm_without_a_trace() {
    let running = building();
    let name = running.name.clone();
    assert!(
        podman(&["kill", "--signal", "TERM", &name])
            .status
            .success()
    );
    assert_ended(&running.wait());

    let running = building();
    let script = running.child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &script])
            .status()
            .unwrap()
            .success()
    );
    assert_ended(&running.wait());
}
