//! Under another init it is a child subreaper, and behaves the same.

use nix::sys::signal::{Signal, kill};

use crate::namespace::{Scene, status_field, wait_for};

#[test]
fn orphans_are_reaped_and_survivors_ended() {
    // Until there are the other init, the supervisor, the runner and the survivor.
    let script = r"
        mkfifo idle; exec 3<>idle
        for i in {1..100}; do (sleep 0.1 &); done
        setsid sleep 1000 &
        until set -- /proc/[0-9]*; [ $# = 4 ]; do read -rt 0.02 -u 3; done
        exit 7
    ";
    let ended = Scene::new().not_pid_1().shell(script);
    assert_eq!(ended.code(), 7, "{}", ended.stderr);
    let runner = &ended.report()["runner"];
    assert!(
        runner["reaped_orphans"].as_u64().unwrap() >= 100,
        "{runner}"
    );
    assert_eq!(runner["survivors"].as_array().unwrap().len(), 1, "{runner}");
    ended.assert_workspace_is_empty();
}

#[test]
fn a_stop_from_the_terminal_stops_the_runner_and_us() {
    let running = Scene::new().not_pid_1().start(&[
        "bash",
        "-c",
        "touch ready; until [ -e end ]; do sleep 0.02; done",
    ]);
    running.wait_for_file("ready");
    let (supervisor, runner) = (running.supervisor(), running.runner());
    running.signal(Signal::SIGTSTP);
    for pid in [supervisor, runner] {
        wait_for("a stopped process", || {
            status_field(pid, "State").filter(|state| state.starts_with('T'))
        });
    }
    running.signal(Signal::SIGCONT);
    running.let_end();
    assert_eq!(running.wait().code(), 0);
}

#[test]
fn it_ends_with_its_parent_if_asked_to() {
    let running = Scene::new()
        .not_pid_1()
        .flags(&["-p"])
        // The parent is not PID 1, whose end would take everyone along.
        .prelude("set -m")
        .start(&[
            "bash",
            "-c",
            "touch ready; trap 'exit 0' TERM; while :; do sleep 0.05; done",
        ]);
    running.wait_for_file("ready");
    let supervisor = running.supervisor();
    let parent = status_field(supervisor, "PPid").unwrap().parse().unwrap();
    kill(nix::unistd::Pid::from_raw(parent), Signal::SIGKILL).unwrap();
    running.wait();
    wait_for("the supervisor's end", || {
        status_field(supervisor, "State").is_none().then_some(())
    });
}
