//! Under another init it is a child subreaper, and behaves the same.

use nix::sys::signal::{Signal, kill};
use test_support::procfs::status_field;
use test_support::{Fixture, eventually};

use crate::SUPERVISOR;

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
    let ended = Fixture::new(SUPERVISOR).not_pid_1().shell(script);
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
    let running = Fixture::new(SUPERVISOR).not_pid_1().start(&[
        "bash",
        "-c",
        "touch ready; until [ -e end ]; do sleep 0.02; done",
    ]);
    running.wait_for_file("ready");
    let (supervisor, runner) = (running.supervisor(), running.runner());
    running.signal(Signal::SIGTSTP);
    for pid in [supervisor, runner] {
        eventually("a stopped process", || {
            status_field(pid, "State").filter(|state| state.starts_with('T'))
        });
    }
    running.signal(Signal::SIGCONT);
    running.let_end();
    assert_eq!(running.wait().code(), 0);
}

#[test]
fn it_ends_with_its_parent_if_asked_to() {
    let fixture = Fixture::new(SUPERVISOR);
    let report = fixture.path("report.json");
    std::fs::write(&report, "").unwrap();
    nix::unistd::chown(&report, Some(1000.into()), None).unwrap();
    // The parent is not PID 1, whose end would take everyone along; that one waits for the report.
    let parent = format!(
        r#"keep() {{ "$@"; until [ -s '{}' ]; do sleep 0.02; done; }}; keep bash -c '"$@"; exit $?' bash \"#,
        report.display()
    );
    let running = fixture.not_pid_1().flags(&["-p"]).prelude(&parent).start(&[
        "bash",
        "-c",
        "trap 'exit 0' TERM; touch ready; while :; do sleep 0.05; done",
    ]);
    running.wait_for_file("ready");
    let parent = status_field(running.supervisor(), "PPid").unwrap();
    let parent = nix::unistd::Pid::from_raw(parent.parse().unwrap());
    kill(parent, Signal::SIGKILL).unwrap();
    let _ended = running.wait();
    let report: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&report).unwrap()).unwrap();
    assert_eq!(report["reason"], "terminated", "{report}");
}
