//! The supervisor's own hooks, and the user's behind them.

use std::fs;

use crate::fake::{Github, count};

#[test]
fn when_the_job_began_and_how_it_ended_is_in_log_and_report() {
    let ended = Github::jit().job("true").run();
    let job = &ended.report()["job"];
    assert_eq!(job["repository"], "owner/repository", "{}", ended.stderr);
    assert_eq!(job["workflow"], "CI");
    assert_eq!(job["job"], "build");
    assert_eq!(job["run_id"], "4711");
    for time in ["started_at", "completed_at"] {
        let time = job[time].as_str().unwrap();
        assert!(humantime::parse_rfc3339(time).is_ok(), "{time}");
    }
    assert!(
        ended.stderr.contains("the job started")
            && ended.stderr.contains("the job's steps are done"),
        "{}",
        ended.stderr
    );
}

#[test]
fn no_step_can_speak_to_the_runtime_of_the_runner() {
    let job = "echo \"sockets: $(find \"$TMPDIR\" -type s)\" >>\"$FAKE_GITHUB/log\"";
    let ended = Github::jit().job(job).run();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!(count(&ended.fixture, "diagnostic port: "), 1);
    let log = crate::fake::log(&ended.fixture);
    assert!(log.contains("\nsockets: \n"), "{log}");
}

fn hook(github: &Github, name: &str, script: &str) -> String {
    let path = github.file(name);
    fs::write(&path, script).unwrap();
    path.to_string_lossy().into_owned()
}

#[test]
fn the_users_hooks_are_called_in_turn() {
    let github = Github::jit().job("echo job >>\"$FAKE_GITHUB/log\"");
    let started = hook(
        &github,
        "started.sh",
        "echo \"started $GITHUB_JOB\" >>\"$FAKE_GITHUB/log\"",
    );
    let completed = hook(
        &github,
        "completed.sh",
        "echo completed >>\"$FAKE_GITHUB/log\"",
    );
    let ended = github
        .set("GITHUB__HOOK_STARTED", &started)
        .set("GITHUB__HOOK_COMPLETED", &completed)
        .run();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let said = crate::fake::log(&ended.fixture);
    assert!(said.contains("started build\njob\n"), "{said}");
    assert_eq!(count(&ended.fixture, "completed"), 2, "{said}");
    assert!(ended.report()["job"]["completed_at"].is_string());
}

#[test]
fn a_users_hook_that_fails_fails_the_job() {
    let github = Github::jit().job("echo job >>\"$FAKE_GITHUB/log\"");
    let started = hook(&github, "started.sh", "false\necho not reached");
    let ended = github.set("GITHUB__HOOK_STARTED", &started).run();
    assert_eq!(
        ended.report()["job"]["result"],
        "failed",
        "{}",
        ended.stderr
    );
    assert_eq!(count(&ended.fixture, "job\n"), 0);
}

#[test]
fn a_hook_that_cannot_be_called_is_told_before_a_job_is_taken() {
    let github = Github::jit().job("true");
    let hook = hook(&github, "hook", "#!/bin/sh\n");
    let ended = github.set("GITHUB__HOOK_COMPLETED", &hook).run();
    assert_eq!(ended.code(), 78, "{}", ended.stderr);
    let message = ended.report()["message"].to_string();
    assert!(message.contains("chmod +x"), "{message}");
    assert_eq!(count(&ended.fixture, "argv"), 0);
}

#[test]
fn nonsense_in_the_hooks_fifo_fills_no_log() {
    let flood = "fifo=$(ls -d /tmp/*/run/hooks/events)\nfor i in $(seq 200); do echo nonsense; done >\"$fifo\"";
    let flood = flood.replace("/tmp/*/run", "$XDG_RUNTIME_DIR");
    let ended = Github::jit().job(&flood).run();
    assert_eq!(ended.report()["job"]["result"], "succeeded");
    let words = ended.stderr.matches("not a valid event").count();
    assert_eq!(words, 1, "{}", ended.stderr);
}

#[test]
fn a_hook_that_was_set_for_the_runner_itself_is_called_too() {
    let github = Github::jit().job("true");
    let own = hook(&github, "own.sh", "echo own >>\"$FAKE_GITHUB/log\"");
    let variables = format!(
        "{{FAKE_GITHUB={:?},ACTIONS_RUNNER_HOOK_JOB_STARTED={own:?}}}",
        github.file("")
    );
    let ended = github.set("RUNNER__ENV", &variables).run();
    assert_eq!(count(&ended.fixture, "own"), 1, "{}", ended.stderr);
    assert!(ended.report()["job"]["started_at"].is_string());
}

#[test]
fn a_job_that_floods_the_hooks_fifo_changes_nothing() {
    let flood = r#"
        fifo=$(ls -d /tmp/*/run/hooks/events)
        timeout 1 yes '{"event":"started","at":"x","repository":"forged"}' >"$fifo"
        exit 0
    "#;
    let ended = Github::jit().job(flood).run();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!(ended.report()["job"]["repository"], "owner/repository");
}
