//! Draining: a job under way goes on and then ends step by step. An idle runner gets the signal at once.
//!
//! `supervisor/tests/github_runner` checks the same with the real runner's timing.

use nix::sys::signal::Signal;
use test_support::eventually;
use test_support::procfs::{children, status_field};

use crate::fake::{Github, allow, count, log, wait_for_log};

/// A job that says that it is there and goes on until it may end.
const JOB: &str = r#"
    touch "$FAKE_GITHUB/in-job"
    echo "in the job" >>"$FAKE_GITHUB/log"
    until [ -e "$FAKE_GITHUB/may-end" ]; do sleep 0.02; done
"#;
/// The same, but nothing ends it before a signal does.
const LONG: &str = r#"
    trap 'echo "the step was ended" >>"$FAKE_GITHUB/log"; exit 1' TERM
    echo "in the job" >>"$FAKE_GITHUB/log"
    while :; do sleep 0.02; done
"#;

/// The texts stand in this order.
fn assert_order(text: &str, parts: &[&str]) {
    let place = |part: &&str| text.find(part).unwrap_or_else(|| panic!("{part}: {text}"));
    let places: Vec<usize> = parts.iter().map(place).collect();
    assert!(places.is_sorted(), "{parts:?}: {text}");
}

#[test]
fn a_job_under_way_goes_on_to_its_own_end_after_sigterm() {
    let running = Github::jit().job(JOB).start();
    wait_for_log(&running, "in the job");
    running.signal(Signal::SIGTERM);
    eventually("the drain", || {
        // Time in which a signal would have been sent.
        std::thread::sleep(std::time::Duration::from_millis(500));
        Some(())
    });
    allow(&running, "may-end");
    let ended = running.wait();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let report = ended.report();
    assert_eq!(report["reason"], "completed");
    assert_eq!(report["job"]["result"], "succeeded");
    assert_eq!(report["job"]["drained"], true);
    let said = log(&ended.fixture);
    assert!(
        !said.contains("SIGINT") && !said.contains("SIGTERM"),
        "{said}"
    );
    assert!(
        ended.stderr.contains("a job is under way; it goes on"),
        "{}",
        ended.stderr
    );
    ended.assert_workspace_is_empty();
}

#[test]
fn ends_the_step_but_not_the_job_after_the_grace() {
    let running = Github::jit().set("GRACE", "400ms").job(LONG).start();
    wait_for_log(&running, "in the job");
    running.signal(Signal::SIGTERM);
    let ended = running.wait();
    assert_eq!(ended.code(), 143, "{}", ended.stderr);
    let report = ended.report();
    assert_eq!(report["reason"], "terminated");
    assert_eq!(report["job"]["result"], "failed");
    assert_eq!(report["job"]["ended_by"], "terminated");
    assert_eq!(report["registration"], "used");
    let said = log(&ended.fixture);
    assert_order(
        &said,
        &[
            "in the job",
            "the step was ended",
            "always() steps run",
            "reported: 102",
        ],
    );
    // Neither listener nor worker got a signal.
    assert!(!said.contains(": SIG"), "{said}");
    assert!(report["job"]["completed_at"].is_string(), "{report}");
}

#[test]
fn a_second_sigterm_ends_the_step_at_once() {
    let running = Github::jit().job(LONG).start();
    wait_for_log(&running, "in the job");
    running.signal(Signal::SIGTERM);
    // Until the first has been read, a second one is the same.
    let pending = || status_field(running.supervisor(), "ShdPnd");
    eventually("the first to be read", || {
        (pending()? == "0000000000000000").then_some(())
    });
    running.signal(Signal::SIGTERM);
    let ended = running.wait();
    assert_eq!(ended.code(), 143, "{}", ended.stderr);
    assert_eq!(
        count(&ended.fixture, "the step was ended"),
        1,
        "{}{}",
        log(&ended.fixture),
        ended.stderr
    );
    assert_eq!(count(&ended.fixture, "reported: 102"), 1);
    assert_eq!(count(&ended.fixture, ": SIG"), 0);
}

#[test]
fn a_step_that_ends_at_no_signal_is_killed_after_its_own_grace() {
    let stubborn =
        "trap '' INT TERM; echo 'in the job' >>\"$FAKE_GITHUB/log\"; while :; do sleep 0.02; done";
    let running = Github::jit()
        .set("GRACE", "200ms")
        .set("GITHUB__STEP_GRACE", "300ms")
        .job(stubborn)
        .start();
    wait_for_log(&running, "in the job");
    running.signal(Signal::SIGTERM);
    let ended = running.wait();
    assert_eq!(ended.code(), 143, "{}", ended.stderr);
    assert_order(
        &ended.stderr,
        &["phase 1", "phase 2: SIGTERM", "phase 3: SIGKILL"],
    );
    assert_eq!(count(&ended.fixture, "always() steps run"), 1);
    assert_eq!(count(&ended.fixture, "reported: 102"), 1);
    ended.assert_workspace_is_empty();
}

#[test]
fn kills_a_reporting_runner_in_time_for_wipe_and_report() {
    let github = Github::jit()
        .set("GRACE", "0s")
        .set("GITHUB__STEP_GRACE", "100ms")
        .set("TERMINATION_GRACE_PERIOD", "16s")
        .set("WIPE__RESERVE", "11s")
        .job("echo 'in the job' >>\"$FAKE_GITHUB/log\"");
    std::fs::write(github.file("report-hangs"), "").unwrap();
    let running = github.start();
    wait_for_log(&running, "always() steps run");
    // The completed hook, and what it says to PID 1.
    eventually("the hook", || {
        let steps = children(running.runner()).first().map(|worker| {
            children(*worker).into_iter().any(|step| {
                let name = std::fs::read_to_string(format!("/proc/{step}/comm"));
                name.is_ok_and(|name| name.trim_end() != "sleep")
            })
        });
        (steps == Some(false)).then_some(())
    });
    running.signal(Signal::SIGTERM);
    let ended = running.wait();
    assert_eq!(ended.code(), 143, "{}", ended.stderr);
    let report = ended.report();
    assert_eq!(report["runner"]["signal"], 9);
    assert_eq!(report["job"]["result"], serde_json::Value::Null);
    assert_eq!(report["job"]["ended_by"], "terminated");
    assert_order(
        &ended.stderr,
        &["phase 1", "phase 4: the steps are done", "phase 5"],
    );
    assert_eq!(count(&ended.fixture, ": SIG"), 0);
    ended.assert_workspace_is_empty();
}

#[test]
fn an_idle_runner_is_told_at_once_and_removed() {
    let running = Github::jit()
        .secret("remove_token", crate::fake::REMOVE)
        .start();
    wait_for_log(&running, "listening");
    running.signal(Signal::SIGTERM);
    let ended = running.wait();
    assert_eq!(ended.code(), 143, "{}", ended.stderr);
    assert_eq!(ended.report()["reason"], "terminated");
    assert_eq!(ended.report()["registration"], "removed");
    assert_eq!(count(&ended.fixture, "listener: SIGINT"), 1);
    assert!(!ended.stderr.contains("phase 2"), "{}", ended.stderr);
}

#[test]
fn drains_a_job_that_is_taken_during_the_signal() {
    // The job arrives between our look and the signal: it is cancelled by the runner, and its end is waited for.
    let slow = r#"
        trap 'sleep 6; exit 1' INT
        while :; do sleep 0.02; done
    "#;
    let github = Github::jit().set("GRACE", "5s");
    std::fs::write(github.file("job-in-that-moment"), "").unwrap();
    let running = github.start();
    wait_for_log(&running, "listening");
    running.signal(Signal::SIGTERM);
    wait_for_log(&running, "listener: SIGINT");
    std::fs::write(running.fixture.path("github/job.sh"), slow).unwrap();
    let ended = running.wait();
    assert_eq!(ended.code(), 143, "{}", ended.stderr);
    let said = log(&ended.fixture);
    // Its end takes longer than the grace, and was waited for.
    assert!(said.contains("reported: 102"), "{said}\n{}", ended.stderr);
    assert_eq!(ended.report()["job"]["result"], "failed");
    assert!(!said.contains("listener: SIGTERM"), "{said}");
    assert_eq!(ended.report()["registration"], "used");
}

#[test]
fn sigterm_while_a_start_is_waited_for_starts_nothing_more() {
    let running = Github::jit()
        .set("GITHUB__RETRY_PAUSE", "60s")
        .exits(&[2, 2])
        .start();
    wait_for_log(&running, "exit: 2");
    running.signal(Signal::SIGTERM);
    let ended = running.wait();
    assert_eq!(ended.code(), 143, "{}", ended.stderr);
    assert_eq!(ended.report()["reason"], "terminated");
    assert_eq!(ended.report()["runner"]["starts"], 1);
}

#[test]
fn the_jobs_own_maximum_ends_it() {
    let ended = Github::jit().set("DEADLINE", "8s").job(LONG).run();
    assert_eq!(ended.report()["reason"], "deadline", "{}", ended.stderr);
    assert_eq!(ended.report()["job"]["ended_by"], "deadline");
    assert_eq!(
        count(&ended.fixture, "the step was ended"),
        1,
        "{}{}",
        log(&ended.fixture),
        ended.stderr
    );
    assert_eq!(count(&ended.fixture, "reported: 102"), 1);
}

#[test]
fn a_runner_that_does_not_end_after_its_job_is_ended() {
    let github = Github::jit().job("true");
    std::fs::write(github.file("listener-hangs"), "").unwrap();
    let ended = github.run();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!(ended.report()["reason"], "completed");
    assert!(ended.report()["job"]["completed_at"].is_string());
    assert_order(
        &ended.stderr,
        &[
            "the job's steps are done",
            "has not ended, although its job is over",
            "SIGINT",
        ],
    );
    ended.assert_workspace_is_empty();
}
