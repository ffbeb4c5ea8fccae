//! Start, signals and ends.

use nix::sys::signal::Signal;

use crate::fake::{Circleci, TOKEN, log, wait_for_log};

#[test]
fn one_task_is_done_and_the_runner_is_over() {
    let ended = Circleci::new().task("echo done; exit 1").run();
    assert_eq!(ended.code(), 0, "{}\n{}", ended.stderr, log(&ended.fixture));
    let report = ended.report();
    assert_eq!(report["reason"], "completed");
    assert!(report["job"]["started_at"].is_string(), "{report}");
    let said = log(&ended.fixture);
    let configuration = ended.fixture.path("run/circleci.yaml");
    let expected = format!("argv: machine --config {}\n", configuration.display());
    assert!(said.starts_with(&expected), "{said}");
    // The name keeps to the characters that are allowed.
    assert!(
        said.contains("claiming: name=pod-1 unsafe_retries=false"),
        "{said}"
    );
    ended.assert_workspace_is_empty();
}

#[test]
fn the_configuration_is_gone_before_the_task_starts() {
    let running = Circleci::new().start();
    wait_for_log(&running, "claiming");
    let path = running.fixture.path("run/circleci.yaml");
    test_support::eventually("the end of the configuration", || {
        (!path.exists()).then_some(())
    });
    running.signal(Signal::SIGTERM);
    running.wait();
}

#[test]
fn the_first_sigterm_drains_and_the_task_goes_on_to_its_end() {
    let task = r#"
        trap 'echo "task: SIGTERM" >>"$FAKE_CIRCLECI/log"' TERM
        echo "in the task" >>"$FAKE_CIRCLECI/log"
        until [ -e "$FAKE_CIRCLECI/may-end" ]; do sleep 0.02; done
    "#;
    let running = Circleci::new().task(task).start();
    wait_for_log(&running, "in the task");
    running.signal(Signal::SIGTERM);
    wait_for_log(&running, "signal 15");
    std::fs::write(running.fixture.path("circleci/may-end"), "").unwrap();
    let ended = running.wait();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!(ended.report()["reason"], "completed");
    assert_eq!(ended.report()["job"]["drained"], true);
    let said = log(&ended.fixture);
    assert!(
        !said.contains("task: SIGTERM") && !said.contains("task cancelled"),
        "{said}"
    );
}

const LONG: &str = r#"
    trap 'echo "task: SIGTERM" >>"$FAKE_CIRCLECI/log"; exit 1' TERM
    echo "in the task" >>"$FAKE_CIRCLECI/log"
    while :; do sleep 0.02; done
"#;

#[test]
fn when_the_grace_is_used_up_a_second_sigterm_cancels_the_task() {
    let running = Circleci::new().set("GRACE", "400ms").task(LONG).start();
    wait_for_log(&running, "in the task");
    running.signal(Signal::SIGTERM);
    let ended = running.wait();
    assert_eq!(ended.code(), 143, "{}", ended.stderr);
    assert_eq!(ended.report()["reason"], "terminated");
    let said = log(&ended.fixture);
    assert_eq!(said.matches("signal 15").count(), 2, "{said}");
    assert_eq!(said.matches("task: SIGTERM").count(), 1, "{said}");
}

#[test]
fn a_second_sigterm_to_us_cancels_at_once() {
    let running = Circleci::new().task(LONG).start();
    wait_for_log(&running, "in the task");
    running.signal(Signal::SIGTERM);
    wait_for_log(&running, "signal 15");
    running.signal(Signal::SIGTERM);
    let ended = running.wait();
    assert_eq!(ended.code(), 143, "{}", ended.stderr);
    assert!(log(&ended.fixture).contains("task cancelled"));
}

#[test]
fn sighup_is_passed_on_to_the_runner_alone() {
    let task = r#"
        trap 'echo "task: SIGHUP" >>"$FAKE_CIRCLECI/log"' HUP
        echo "in the task" >>"$FAKE_CIRCLECI/log"
        until [ -e "$FAKE_CIRCLECI/may-end" ]; do sleep 0.02; done
    "#;
    let running = Circleci::new().task(task).start();
    wait_for_log(&running, "in the task");
    running.signal(Signal::SIGHUP);
    wait_for_log(&running, "signal 1\n");
    std::fs::write(running.fixture.path("circleci/may-end"), "").unwrap();
    let ended = running.wait();
    assert_eq!(ended.report()["reason"], "completed", "{}", ended.stderr);
    assert!(!log(&ended.fixture).contains("task: SIGHUP"));
}

#[test]
fn an_idle_runner_ends_at_once() {
    let running = Circleci::new().start();
    wait_for_log(&running, "claiming");
    running.signal(Signal::SIGTERM);
    let ended = running.wait();
    assert_eq!(ended.code(), 143, "{}", ended.stderr);
    assert_eq!(ended.report()["reason"], "terminated");
    assert_eq!(ended.report()["job"], serde_json::Value::Null);
    assert!(log(&ended.fixture).contains("ended idle"));
}

#[test]
fn ends_a_runner_without_a_task_after_its_idle_time() {
    let ended = Circleci::new().set("CIRCLECI__IDLE_TIMEOUT", "1s").run();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_eq!(ended.report()["reason"], "idle");
}

#[test]
fn the_vendors_own_limit_and_unsafe_retries_are_handed_over() {
    let ended = Circleci::new()
        .set("CIRCLECI__MAX_RUN_TIME", "1s")
        .set("CIRCLECI__ENABLE_UNSAFE_RETRIES", "true")
        .task(LONG)
        .run();
    let said = log(&ended.fixture);
    assert!(said.contains("unsafe_retries=true"), "{said}");
    assert!(said.contains("task cancelled"), "{said}");
    assert_eq!(ended.report()["reason"], "completed");
}

#[test]
fn a_command_prefix_of_the_users_stands_in_front_of_the_task() {
    let ended = Circleci::new()
        .set("CIRCLECI__COMMAND_PREFIX", "[env, PREFIX=mine]")
        .task("echo \"prefix $PREFIX\" >>\"$FAKE_CIRCLECI/log\"")
        .run();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(log(&ended.fixture).contains("prefix mine"));
    assert!(ended.report()["job"]["started_at"].is_string());
}

#[test]
fn a_token_that_circleci_refuses_has_its_own_reason() {
    let ended = Circleci::new()
        .secret("resource_class_token", &TOKEN.replace('0', "1"))
        .run();
    assert_eq!(ended.code(), 1, "{}", ended.stderr);
    assert_eq!(ended.report()["reason"], "runner_error");
}

#[test]
fn a_token_of_the_wrong_kind_starts_nothing() {
    for (token, part) in [
        ("CCIPAT_abc", "is a personal API token of CircleCI"),
        ("ghp_abc", "is a personal access token"),
        ("'abc'", "quotes"),
        ("a b", "white space"),
    ] {
        let ended = Circleci::new().secret("resource_class_token", token).run();
        assert_eq!(ended.code(), 77, "{}", ended.stderr);
        let message = ended.report()["message"].to_string();
        assert!(message.contains(part), "{message}");
        assert_eq!(log(&ended.fixture), "");
    }
}
