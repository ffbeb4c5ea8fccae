//! GitHub out of reach, or without a use for its runner.

use serde_json::Value;

use crate::fake::{Case, Seen, run, step};

fn plain() -> Vec<Value> {
    vec![step("Plain", "echo plain")]
}

fn unreachable(seen: &Seen) {
    assert_eq!(seen.code, 69);
    assert_eq!(seen.report["reason"], "unreachable");
    assert_eq!(seen.report["job"], Value::Null);
    let message = seen.report["message"].as_str().unwrap();
    assert!(message.contains("github.connect_timeout"), "{message}");
}

#[test]
fn names_the_reason_if_a_runner_does_not_reach_github() {
    run(&[
        Case::new("no session", plain(), unreachable)
            .service("--session-error 500")
            .set("GITHUB__CONNECT_TIMEOUT=4s")
            .signals(""),
        // A listener says so after the fifth of its tries, each of which takes ten seconds.
        Case::new("no messages", plain(), |seen| {
            unreachable(seen);
            seen.assert_order(&[
                "the runner started",
                "does not reach its CI service",
                "SIGINT",
            ]);
        })
        .service("--message-error 500")
        .speed(20)
        .set("GITHUB__CONNECT_TIMEOUT=8s")
        .signals(""),
    ]);
}

#[test]
fn counts_a_job_from_its_acquisition_on() {
    run(&[
        // The worker is held back for up to ten seconds.
        Case::new("the first renewal fails", plain(), |seen| {
            assert_eq!(seen.github["conclusion"], "succeeded");
            assert_eq!(seen.report["job"]["drained"], true);
            assert_eq!(seen.report["reason"], "completed");
            seen.assert_order(&["phase 1: a job is under way", "the job's steps are done"]);
        })
        .service("--renew-error 500:1")
        .set("GRACE=60s TERMINATION_GRACE_PERIOD=90s")
        .signals("TERM@acquired+0.5"),
        Case::new("all renewals fail", plain(), |seen| {
            assert_eq!(seen.code, 143);
            assert_eq!(seen.report["registration"], "used");
            assert_eq!(seen.report["job"]["result"], Value::Null);
            seen.assert_order(&[
                "a job is under way",
                "no step of the job runs",
                "phase 4: SIGINT",
            ]);
        })
        .service("--renew-error 500")
        .set("GRACE=0s TERMINATION_GRACE_PERIOD=40s WIPE__RESERVE=30s")
        .signals("TERM@acquired+0.5"),
    ]);
}

#[test]
fn a_registration_that_github_has_deleted_is_not_called_offline() {
    let gone = |name, code: i32, options| {
        let check: fn(&Seen) = if code == 0 { gone_with_0 } else { gone_with_1 };
        Case::new(name, plain(), check).service(options).signals("")
    };
    run(&[
        gone("not found", 0, "--message-error RunnerNotFound"),
        gone("not found when it acknowledges", 0, "--ack-not-found"),
        gone("its client is invalid", 1, "--token-error invalid_client"),
    ]);
}

fn gone_with_0(seen: &Seen) {
    gone(seen, 0, "completed");
}

fn gone_with_1(seen: &Seen) {
    gone(seen, 1, "runner_error");
}

fn gone(seen: &Seen, code: i32, reason: &str) {
    assert_eq!(seen.code, code);
    assert_eq!(seen.report["reason"], reason);
    assert_eq!(seen.report["registration"], "gone");
    assert_eq!(seen.report["job"], Value::Null);
    let message = seen.report["message"].as_str().unwrap();
    assert!(message.contains("has deleted"), "{message}");
    assert!(!seen.stderr.contains("offline"));
}
