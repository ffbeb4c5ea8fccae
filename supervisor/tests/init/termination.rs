//! The three acts: the graceful signal, SIGTERM after `grace`, SIGKILL in time for wipe and report.

use nix::sys::signal::{Signal, kill};

use crate::namespace::{Ended, Scene, status_field, wait_for};

const STUBBORN: &str = "trap '' TERM INT; touch ready; while :; do sleep 0.05; done";

fn acts(ended: &Ended) -> Vec<&str> {
    let lines = ended.stderr.lines();
    let act = |line: &'_ str| {
        ["act 1", "act 2", "act 3"]
            .into_iter()
            .find(|act| line.contains(act))
    };
    lines.filter_map(act).collect()
}

#[test]
fn a_polite_runner_ends_in_the_first_act_with_its_own_code() {
    let running = Scene::new().start(&[
        "bash",
        "-c",
        "trap 'exit 4' TERM; touch ready; while :; do sleep 0.05; done",
    ]);
    running.wait_for_file("ready");
    running.signal(Signal::SIGTERM);
    let ended = running.wait();
    assert_eq!(ended.code(), 4);
    assert_eq!(ended.report()["reason"], "terminated");
    assert_eq!(acts(&ended), ["act 1"]);
    ended.assert_workspace_is_empty();
}

#[test]
fn an_unhandled_sigterm_is_143() {
    let running = Scene::new().start(&["bash", "-c", "touch ready; sleep 1000"]);
    running.wait_for_file("ready");
    running.signal(Signal::SIGTERM);
    assert_eq!(running.wait().code(), 143);
}

#[test]
fn a_stubborn_runner_is_killed_and_the_workspace_is_wiped_all_the_same() {
    let running = Scene::new()
        .flags(&["--grace", "100ms"])
        .env("SUPERVISOR_TERMINATION_GRACE_PERIOD", "5s")
        .env("SUPERVISOR_WIPE__RESERVE", "4500ms")
        .start(&["bash", "-c", STUBBORN]);
    running.wait_for_file("ready");
    running.signal(Signal::SIGTERM);
    let ended = running.wait();
    assert_eq!(ended.code(), 137);
    assert_eq!(acts(&ended), ["act 1", "act 2", "act 3"]);
    assert_eq!(ended.report()["reason"], "terminated");
    ended.assert_workspace_is_empty();
}

#[test]
fn a_second_sigterm_brings_the_next_act_forward() {
    let running = Scene::new()
        .flags(&["--grace", "500s"])
        .env("SUPERVISOR_TERMINATION_GRACE_PERIOD", "1000s")
        .start(&["bash", "-c", STUBBORN]);
    running.wait_for_file("ready");
    let supervisor = running.supervisor();
    // Each act has a second to work; without the hurry SIGKILL would come after a quarter of an hour.
    wait_for("the end", || {
        let _ = kill(supervisor, Signal::SIGTERM);
        let state = status_field(supervisor, "State");
        state
            .is_none_or(|state| state.starts_with('Z'))
            .then_some(())
    });
    let ended = running.wait();
    assert_eq!(ended.code(), 137);
    assert_eq!(acts(&ended), ["act 1", "act 2", "act 3"]);
}

#[test]
fn the_deadline_starts_the_same_acts_with_its_own_reason() {
    let ended = Scene::new()
        .flags(&["--deadline", "300ms"])
        .shell("sleep 1000");
    assert_eq!(ended.code(), 143);
    assert_eq!(ended.report()["reason"], "deadline");
    assert_eq!(acts(&ended), ["act 1"]);
    ended.assert_workspace_is_empty();
}

#[test]
fn a_stopped_runner_gets_its_graceful_signal_too() {
    let running = Scene::new()
        .flags(&["--grace", "500s"])
        .env("SUPERVISOR_TERMINATION_GRACE_PERIOD", "1000s")
        .start(&[
            "bash",
            "-c",
            "trap 'exit 6' TERM; touch ready; kill -STOP $$; sleep 1000",
        ]);
    let runner = running.runner();
    wait_for("a stopped runner", || {
        status_field(runner, "State").filter(|state| state.starts_with('T'))
    });
    running.signal(Signal::SIGTERM);
    assert_eq!(running.wait().code(), 6);
}
