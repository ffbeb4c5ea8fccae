//! A job that goes on until the pod's time is nearly over: the runner is interrupted, and its job killed, so that it can say
//! how it ended.

use std::time::Duration;

use crate::fake::{Case, RUNNING, Seen, run, step, step_if};

/// Seven seconds for the job, three for the last words.
const SHORT: &str = "GRACE=0s TERMINATION_GRACE_PERIOD=40s WIPE__RESERVE=30s";
const PERIOD: Duration = Duration::from_secs(40);
const STUBBORN: &str = "trap '' INT TERM; sleep 300; sleep 300";

/// The runner reported to GitHub within the three seconds, and ended by itself.
fn spoken(seen: &Seen) {
    seen.assert_failed("terminated", PERIOD);
    seen.assert_order(&[
        "phase 2",
        "phase 4: SIGINT to the runner",
        "the runner ended",
    ]);
    assert_eq!(seen.report["runner"]["exit_code"], 0);
    // Neither SIGTERM nor SIGKILL to runner or worker.
    assert!(!seen.stderr.contains("phase 5"));
    assert!(!seen.stderr.contains("worker, so that"));
}

#[test]
fn github_is_told_even_when_nothing_ends_the_steps() {
    let always = |script: &str| {
        vec![
            step("Long", &format!("{RUNNING}; sleep 300")),
            step_if("Always", "always()", script),
            step_if("Further", "always()", "sleep 300"),
        ]
    };
    run(&[
        Case::new("a later step goes on", always(STUBBORN), |seen| {
            spoken(seen);
            seen.assert_order(&["phase 4: SIGINT", "phase 4: SIGKILL"]);
            // "Always" is canceled or failed: it depends on whether the worker knows of the shutdown when its step ends.
            seen.assert_steps(&[
                ("Long", "failed"),
                ("Further", "skipped"),
                ("Complete runner", "skipped"),
            ]);
            assert_eq!(seen.report["job"]["completed_at"], serde_json::Value::Null);
        })
        .set(SHORT),
        // The worker would wait five seconds for it.
        Case::new(
            "it left a process with its output",
            always(&format!("(setsid bash -c \"{STUBBORN}\" &); {STUBBORN}")),
            spoken,
        )
        .set(SHORT),
    ]);
}

#[test]
fn rejects_settings_in_which_a_job_cannot_end() {
    run(&[Case::new("tight", vec![step("Plain", "true")], |seen| {
        assert_eq!(seen.code, 78);
        let message = seen.report["message"].as_str().unwrap();
        for part in [
            "grace",
            "1s",
            "step_grace (2s)",
            "the 3s",
            "6s",
            "at most 2s",
            "12s",
        ] {
            assert!(message.contains(part), "{message}");
        }
    })
    .set("GRACE=1s TERMINATION_GRACE_PERIOD=12s")]);
}
