//! Draining: a job under way is left alone, an idle runner is told at once.

use nix::sys::signal::Signal;

use crate::standin::{Github, allow, count, log, wait_for_log};

/// A job that says that it is there and goes on until it may end.
const JOB: &str = r#"
    touch "$STANDIN_GITHUB/in-job"
    echo "in the job" >>"$STANDIN_GITHUB/log"
    until [ -e "$STANDIN_GITHUB/may-end" ]; do sleep 0.02; done
"#;
/// The same, but nothing ends it before a cancellation does.
const LONG: &str = r#"
    trap 'echo "the step was cancelled" >>"$STANDIN_GITHUB/log"; exit 1' INT
    echo "in the job" >>"$STANDIN_GITHUB/log"
    while :; do sleep 0.02; done
"#;

#[test]
fn a_job_under_way_goes_on_to_its_own_end_after_sigterm() {
    let running = Github::jit().job(JOB).start();
    wait_for_log(&running, "in the job");
    running.signal(Signal::SIGTERM);
    crate::namespace::wait_for("the drain", || {
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
    let said = log(&ended.scene);
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
fn when_the_grace_is_used_up_github_sees_a_cancelled_job() {
    let running = Github::jit().set("GRACE", "400ms").job(LONG).start();
    wait_for_log(&running, "in the job");
    running.signal(Signal::SIGTERM);
    let ended = running.wait();
    assert_eq!(ended.code(), 143, "{}", ended.stderr);
    assert_eq!(ended.report()["reason"], "terminated");
    let said = log(&ended.scene);
    let order = [
        "in the job",
        "listener: SIGINT",
        "the step is cancelled",
        "the step was cancelled",
        "always() steps run",
    ];
    let places: Vec<usize> = order
        .map(|text| said.find(text).unwrap_or_else(|| panic!("{text}: {said}")))
        .into();
    assert!(places.is_sorted(), "{said}");
    // The listener alone is told; it tells its worker.
    assert!(
        !said.contains("worker: SIG") && !said.contains("listener: SIGTERM"),
        "{said}"
    );
    assert_eq!(ended.report()["registration"], "used");
}

#[test]
fn a_second_sigterm_cancels_the_job_at_once() {
    let running = Github::jit().job(LONG).start();
    wait_for_log(&running, "in the job");
    running.signal(Signal::SIGTERM);
    running.signal(Signal::SIGTERM);
    let ended = running.wait();
    assert_eq!(ended.code(), 143, "{}", ended.stderr);
    assert_eq!(count(&ended.scene, "listener: SIGINT"), 1);
    assert_eq!(count(&ended.scene, "the step was cancelled"), 1);
}

#[test]
fn a_job_that_is_not_to_be_cancelled_is_killed_in_time_for_wipe_and_report() {
    let stubborn = "trap '' INT TERM; echo 'in the job' >>\"$STANDIN_GITHUB/log\"; while :; do sleep 0.02; done";
    let running = Github::jit()
        .set("GRACE", "200ms")
        .set("TERMINATION_GRACE_PERIOD", "12s")
        .set("WIPE__RESERVE", "11s")
        .job(stubborn)
        .start();
    wait_for_log(&running, "in the job");
    running.signal(Signal::SIGTERM);
    let ended = running.wait();
    assert_eq!(ended.code(), 143, "{}", ended.stderr);
    assert_eq!(ended.report()["runner"]["signal"], 9);
    let acts = [
        "a job is under way",
        "act 1: SIGINT to the runner",
        "act 2",
        "act 3",
    ];
    let places: Vec<usize> = acts
        .map(|act| {
            ended
                .stderr
                .find(act)
                .unwrap_or_else(|| panic!("{act}: {}", ended.stderr))
        })
        .into();
    assert!(places.is_sorted(), "{}", ended.stderr);
    ended.assert_workspace_is_empty();
}

#[test]
fn an_idle_runner_is_told_at_once_and_removed() {
    let running = Github::jit()
        .secret("remove_token", crate::standin::REMOVE)
        .start();
    wait_for_log(&running, "listening");
    running.signal(Signal::SIGTERM);
    let ended = running.wait();
    assert_eq!(ended.code(), 143, "{}", ended.stderr);
    assert_eq!(ended.report()["reason"], "terminated");
    assert_eq!(ended.report()["registration"], "removed");
    assert_eq!(count(&ended.scene, "listener: SIGINT"), 1);
    assert!(!ended.stderr.contains("act 2"), "{}", ended.stderr);
}

#[test]
fn a_runner_that_takes_a_job_in_that_very_moment_has_the_time_of_one() {
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
    std::fs::write(running.scene.path("github/job.sh"), slow).unwrap();
    let ended = running.wait();
    assert_eq!(ended.code(), 143, "{}", ended.stderr);
    let said = log(&ended.scene);
    // 103 is a cancelled job; its end takes longer than the grace, and was waited for.
    assert!(
        said.contains("job completed: 103"),
        "{said}\n{}",
        ended.stderr
    );
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
fn the_jobs_own_maximum_cancels_it() {
    let ended = Github::jit().set("DEADLINE", "8s").job(LONG).run();
    assert_eq!(ended.report()["reason"], "deadline", "{}", ended.stderr);
    assert_eq!(count(&ended.scene, "the step was cancelled"), 1);
}
