//! What a job does to its own listener: it is continued, and a job needs none to come to its end.

use crate::fake::{Case, RUNNING, Seen, long, run, step, step_if};

const LISTENER: &str = "\"$(pgrep -x Runner.Listener)\"";

fn succeeded(seen: &Seen) {
    assert_eq!(seen.github["conclusion"], "succeeded");
    assert_eq!(seen.report["job"]["result"], "succeeded");
    assert_eq!(seen.report["reason"], "completed");
    assert_eq!(seen.step("Complete runner"), "succeeded");
    assert_eq!(seen.code, 0);
}

#[test]
fn ends_a_job_that_stops_or_kills_its_listener() {
    let steps = |signal: &str| {
        let script = format!("kill -{signal} {LISTENER}; sleep 3; echo on");
        vec![step("Does it", &script), step("Goes on", "echo on")]
    };
    run(&[
        Case::new("stops", steps("STOP"), |seen| {
            succeeded(seen);
            assert_eq!(seen.report["runner"]["exit_code"], 100);
            assert!(seen.stderr.contains("it is continued"));
            assert!(!seen.stderr.contains("has not ended"));
        })
        .signals(""),
        Case::new("kills", steps("KILL"), |seen| {
            succeeded(seen);
            assert_eq!(seen.report["runner"]["signal"], 9);
            seen.assert_order(&["its job goes on without it", "the job's steps are done"]);
        })
        .signals(""),
    ]);
}

/// The listener dies; then the step goes on.
fn killing(then: &str) -> String {
    format!("kill -KILL {LISTENER}; {RUNNING}; {then}")
}

#[test]
fn a_job_without_its_listener_ends_a_step_at_a_time_too() {
    run(&[
        Case::new("after grace", long(&killing("sleep 300")), |seen| {
            assert_eq!(seen.github["conclusion"], "failed");
            assert_eq!(seen.report["reason"], "runner_error");
            assert_eq!(seen.report["job"]["result"], "failed");
            assert_eq!(seen.report["job"]["ended_by"], "runner_error");
            assert_eq!(seen.report["job"]["drained"], false);
            seen.assert_steps(&[
                ("Long", "failed"),
                ("Always", "succeeded"),
                ("Complete runner", "succeeded"),
            ]);
        })
        .set("GRACE=2s")
        .signals(""),
        Case::new(
            "last words",
            vec![
                step("Long", &killing("trap '' INT TERM; sleep 300; sleep 300")),
                step_if(
                    "Always",
                    "always()",
                    "trap '' INT TERM; sleep 300; sleep 300",
                ),
            ],
            |seen| {
                assert_eq!(seen.github["conclusion"], "failed");
                assert_eq!(seen.report["job"]["result"], "failed");
                seen.assert_order(&[
                    "its job goes on without it",
                    "phase 2",
                    "phase 4: SIGTERM to the worker",
                ]);
                assert!(!seen.stderr.contains("phase 5"));
            },
        )
        .set("GRACE=1s TERMINATION_GRACE_PERIOD=40s WIPE__RESERVE=30s"),
    ]);
}
