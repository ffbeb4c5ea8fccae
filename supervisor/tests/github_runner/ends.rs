//! The end of a job in each situation: during a step, between steps, in a hook, by each cause.

use std::time::Duration;

use crate::fake::{Case, RUNNING, Seen, long, run, step, step_if};

/// Times in which everything fits, and is soon there.
const SHORT: &str = "GRACE=0s TERMINATION_GRACE_PERIOD=60s";
const PERIOD: Duration = Duration::from_secs(60);

fn ended_a_step(seen: &Seen, ended_by: &str) {
    seen.assert_failed(ended_by, PERIOD);
    seen.assert_uninterrupted();
    seen.assert_steps(&[
        ("Long", "failed"),
        ("Plain", "skipped"),
        ("Always", "succeeded"),
        ("Failure", "succeeded"),
        ("Cancelled", "skipped"),
    ]);
}

fn terminated(seen: &Seen) {
    ended_a_step(seen, "terminated");
}

fn killed(seen: &Seen) {
    terminated(seen);
    seen.assert_order(&["phase 2", "phase 3"]);
}

/// `READY` in a script is where it is as the test wants it.
fn script(text: &str) -> String {
    text.replace("READY", RUNNING)
}

#[test]
fn a_step_ends_whatever_it_does() {
    let case = |name, text: &str, check| Case::new(name, long(&script(text)), check).set(SHORT);
    run(&[
        case(
            "obeys",
            "trap 'exit 3' TERM; READY; while :; do sleep 0.1; done",
            terminated,
        ),
        case(
            "ignores",
            "trap '' INT TERM; setsid sleep 301 & READY; sleep 300; sleep 302; echo never",
            killed,
        ),
        case(
            "forks",
            "trap '' INT TERM; f() { while :; do sleep 0.05 & sleep 0.02; done; }; f & f & f & READY; f",
            killed,
        ),
        // The worker waits five seconds for a process that has the step's output open, and it is no descendant.
        case(
            "left a process with its output",
            "(setsid bash -c 'trap \"\" TERM; READY; sleep 400; sleep 401' &); sleep 300",
            killed,
        ),
        case(
            "has the worker's name",
            "cp \"$(command -v sleep)\" ./Runner.Worker; READY; ./Runner.Worker 300",
            terminated,
        ),
        case(
            "stopped worker, runner and itself",
            "READY; kill -STOP $PPID \"$(pgrep -x Runner.Listener)\" $$",
            terminated,
        )
        .signals("TERM@running+1"),
        case("asked twice", "READY; sleep 300", terminated)
            .set("GRACE=40s")
            .signals("TERM@running+0.2 TERM@running+1.5"),
        case("deadline", "sleep 300", |seen| {
            ended_a_step(seen, "deadline");
        })
        .set("DEADLINE=15s")
        .signals(""),
    ]);
}

#[test]
fn the_pods_end_takes_no_time_from_a_job_that_its_deadline_ends() {
    let always = script("READY; sleep 6; echo on");
    let steps = vec![
        step("Long", "sleep 300"),
        step_if("Always", "always()", &always),
    ];
    run(&[Case::new("a deadline, then SIGTERM", steps, |seen| {
        seen.assert_failed("deadline", PERIOD);
        seen.assert_uninterrupted();
        seen.assert_steps(&[("Long", "failed"), ("Always", "succeeded")]);
        seen.assert_order(&["phase 2", "asked to end", "the job's steps are done"]);
    })
    .set(SHORT)
    .set("DEADLINE=15s")]);
}

#[test]
fn a_step_that_makes_the_best_of_its_end_fails_no_job() {
    let good = script("trap 'exit 0' TERM; READY; while :; do sleep 0.1; done");
    let steps = vec![step("Long", &good), step("Plain", "echo plain")];
    run(&[Case::new("succeeds", steps, |seen| {
        assert_eq!(seen.github["conclusion"], "succeeded");
        assert_eq!(seen.report["job"]["result"], "succeeded");
        assert_eq!(seen.report["job"]["ended_by"], "terminated");
        assert_eq!(seen.report["reason"], "completed");
        assert_eq!(seen.code, 0);
    })
    .set(SHORT)]);
}

#[test]
fn spares_processes_that_are_not_of_the_step() {
    let always = "echo \"left: $(pgrep -cx sleep)\"; sleep 4; echo on";
    let steps = vec![
        step("First", "setsid nohup sleep 500 >/dev/null 2>&1 & echo on"),
        step("Long", &script("READY; sleep 300")),
        step_if("Always", "always()", always),
    ];
    run(&[Case::new("a daemon, and a later step", steps, |seen| {
        seen.assert_failed("terminated", PERIOD);
        seen.assert_uninterrupted();
        seen.assert_steps(&[("Long", "failed"), ("Always", "succeeded")]);
        assert!(seen.log.contains("left: 1"), "{}", seen.log);
    })
    .set(SHORT)]);
}

#[test]
fn a_hook_that_hangs_counts_as_a_step() {
    let steps = || {
        vec![
            step("Plain", "echo plain"),
            step_if("Always", "always()", "echo always"),
        ]
    };
    let hangs = script("READY; sleep 300");
    run(&[
        Case::new("started", steps(), |seen| {
            seen.assert_failed("terminated", PERIOD);
            assert_eq!(seen.report["runner"]["exit_code"], 102);
            seen.assert_steps(&[
                ("Set up runner", "failed"),
                ("Plain", "skipped"),
                ("Always", "succeeded"),
                ("Complete runner", "succeeded"),
            ]);
        })
        .set(SHORT)
        .hook_started(&hangs),
        Case::new("completed", steps(), |seen| {
            seen.assert_failed("terminated", PERIOD);
            assert_eq!(seen.report["runner"]["exit_code"], 102);
            seen.assert_steps(&[("Plain", "succeeded"), ("Complete runner", "failed")]);
        })
        .set(SHORT)
        .hook_completed(&hangs),
    ]);
}
