//! The runner's exit codes: each its reason, its own code or another start.

use crate::fake::{Github, count};

#[test]
fn each_exit_code_has_its_reason_and_is_the_containers() {
    for (code, reason) in [
        (1, "runner_error"),
        (3, "updating"),
        (4, "updating"),
        (5, "session_conflict"),
        (7, "version_deprecated"),
        (99, "failed"),
    ] {
        let ended = Github::jit().exits(&[code]).run();
        assert_eq!(ended.code(), i32::from(code), "{}", ended.stderr);
        let report = ended.report();
        assert_eq!(report["reason"], reason, "{report}");
        assert_eq!(report["runner"]["exit_code"], code);
        assert_eq!(report["runner"]["starts"], 1, "{report}");
        assert!(report["message"].is_string(), "{report}");
        ended.assert_workspace_is_empty();
    }
}

#[test]
fn restarts_after_a_retryable_end_or_a_new_configuration() {
    let ended = Github::jit().exits(&[2, 6, 2]).job("true").run();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let report = ended.report();
    assert_eq!(report["reason"], "completed");
    assert_eq!(report["runner"]["starts"], 4);
    assert_eq!(count(&ended.fixture, "argv: run"), 4);
}

#[test]
fn starts_are_bounded_and_the_pauses_grow() {
    let ended = Github::jit()
        .set("GITHUB__RETRIES", "3")
        .exits(&[2; 9])
        .run();
    assert_eq!(ended.code(), 2, "{}", ended.stderr);
    let report = ended.report();
    assert_eq!(report["reason"], "retries_exhausted");
    assert_eq!(report["runner"]["starts"], 4);
    for pause in ["10ms", "20ms", "40ms"] {
        assert!(
            ended.stderr.contains(&format!("\"pause\":\"{pause}\"")),
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn fails_with_the_job_only_if_the_pod_follows_it() {
    let ended = Github::jit().job("exit 3").run();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!(ended.report()["reason"], "completed");
    assert_eq!(ended.report()["job"]["result"], "failed");

    let ended = Github::jit()
        .set("GITHUB__EXIT_WITH_JOB", "true")
        .job("exit 3")
        .run();
    assert_eq!(ended.code(), 102, "{}", ended.stderr);
    assert_eq!(ended.report()["reason"], "failed");
    assert_eq!(ended.report()["message"], "the job ended: failed");
}

#[test]
fn ends_a_runner_without_a_job_after_its_idle_time() {
    let ended = Github::jit().set("GITHUB__IDLE_TIMEOUT", "300ms").run();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let report = ended.report();
    assert_eq!(report["reason"], "idle");
    assert_eq!(report["job"], serde_json::Value::Null);
    assert_eq!(report["registration"], "lingers");
    assert!(
        ended.stderr.contains("GitHub removes it after 1day"),
        "{}",
        ended.stderr
    );
}

#[test]
fn the_idle_time_does_not_count_once_the_job_has_begun() {
    let ended = Github::jit()
        .set("GITHUB__IDLE_TIMEOUT", "8s")
        .job("sleep 8.5")
        .run();
    assert_eq!(ended.report()["reason"], "completed", "{}", ended.stderr);
    assert_eq!(ended.report()["job"]["result"], "succeeded");
}

#[test]
fn removes_a_runner_without_a_job_if_it_has_a_token() {
    for github in [Github::jit(), Github::registration()] {
        let running = github.secret("remove_token", crate::fake::REMOVE).start();
        crate::fake::wait_for_log(&running, "listening");
        running.signal(nix::sys::signal::Signal::SIGTERM);
        let ended = running.wait();
        assert_eq!(
            ended.report()["registration"],
            "removed",
            "{}",
            ended.stderr
        );
        assert_eq!(count(&ended.fixture, "argv: remove token"), 1);
        assert!(!ended.fixture.path("github/registered").exists());
    }
}

#[test]
fn the_removal_does_not_change_how_the_runner_ended() {
    let ended = Github::jit()
        .secret("remove_token", crate::fake::REMOVE)
        .exits(&[5])
        .run();
    assert_eq!(ended.code(), 5, "{}", ended.stderr);
    let report = ended.report();
    assert_eq!(report["reason"], "session_conflict");
    assert_eq!(report["runner"]["exit_code"], 5, "{report}");
    assert_eq!(report["registration"], "removed");
}

#[test]
fn a_refused_removal_is_reported() {
    let ended = Github::jit()
        .secret("remove_token", "CCDH5LIBFZ5R7ROGZNPF8VU8HEYQ8")
        .set("GITHUB__IDLE_TIMEOUT", "300ms")
        .run();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!(ended.report()["registration"], "lingers");
}
