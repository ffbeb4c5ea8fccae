//! The three phases: the graceful signal, SIGTERM after `grace`, SIGKILL in time for wipe and report.

use nix::sys::signal::{Signal, kill};
use test_support::procfs::status_field;
use test_support::{Ended, Fixture, PTRACE, eventually};

use crate::SUPERVISOR;

const STUBBORN: &str = "trap '' TERM INT; touch ready; while :; do sleep 0.05; done";

fn phases(ended: &Ended) -> Vec<&str> {
    let lines = ended.stderr.lines();
    let phase = |line: &'_ str| {
        ["phase 1", "phase 2", "phase 3"]
            .into_iter()
            .find(|phase| line.contains(phase))
    };
    lines.filter_map(phase).collect()
}

#[test]
fn a_polite_runner_ends_in_the_first_act_with_its_own_code() {
    let running = Fixture::new(SUPERVISOR).start(&[
        "bash",
        "-c",
        "trap 'exit 4' TERM; touch ready; while :; do sleep 0.05; done",
    ]);
    running.wait_for_file("ready");
    running.signal(Signal::SIGTERM);
    let ended = running.wait();
    assert_eq!(ended.code(), 4);
    let report = ended.report();
    assert_eq!(report["reason"], "terminated");
    assert_eq!(report["problems"][0]["kind"], "terminated", "{report}");
    let sentence = report["problems"][0]["message"].as_str().unwrap();
    assert!(ended.stderr.contains(sentence), "{sentence}");
    assert!(report["volumes"][0]["bytes"].as_u64().unwrap() > 0);
    assert_eq!(phases(&ended), ["phase 1"]);
    ended.assert_workspace_is_empty();
}

#[test]
fn an_unhandled_sigterm_is_143() {
    let running = Fixture::new(SUPERVISOR).start(&["bash", "-c", "touch ready; sleep 1000"]);
    running.wait_for_file("ready");
    running.signal(Signal::SIGTERM);
    assert_eq!(running.wait().code(), 143);
}

#[test]
fn kills_a_stubborn_runner_and_wipes_the_workspace() {
    let running = Fixture::new(SUPERVISOR)
        .flags(&["--grace", "100ms"])
        .env("SUPERVISOR_TERMINATION_GRACE_PERIOD", "5s")
        .env("SUPERVISOR_WIPE__RESERVE", "4500ms")
        .start(&["bash", "-c", STUBBORN]);
    running.wait_for_file("ready");
    running.signal(Signal::SIGTERM);
    let ended = running.wait();
    assert_eq!(ended.code(), 137);
    assert_eq!(phases(&ended), ["phase 1", "phase 2", "phase 3"]);
    assert_eq!(ended.report()["reason"], "terminated");
    ended.assert_workspace_is_empty();
}

#[test]
fn a_second_sigterm_brings_the_next_phase_forward() {
    let running = Fixture::new(SUPERVISOR)
        .flags(&["--grace", "500s"])
        .env("SUPERVISOR_TERMINATION_GRACE_PERIOD", "1000s")
        .start(&["bash", "-c", STUBBORN]);
    running.wait_for_file("ready");
    let supervisor = running.supervisor();
    // Each phase has a second to work; without the second SIGTERM, SIGKILL would come after a quarter of an hour. What comes sooner
    // after another is the same request.
    eventually("the end", || {
        let _ = kill(supervisor, Signal::SIGTERM);
        std::thread::sleep(std::time::Duration::from_millis(1100));
        let state = status_field(supervisor, "State");
        state
            .is_none_or(|state| state.starts_with('Z'))
            .then_some(())
    });
    let ended = running.wait();
    assert_eq!(ended.code(), 137);
    assert_eq!(phases(&ended), ["phase 1", "phase 2", "phase 3"]);
}

#[test]
fn the_deadline_starts_the_same_acts_with_its_own_reason() {
    let ended = Fixture::new(SUPERVISOR)
        .flags(&["--deadline", "300ms"])
        .shell("sleep 1000");
    assert_eq!(ended.code(), 143);
    assert_eq!(ended.report()["reason"], "deadline");
    assert_eq!(phases(&ended), ["phase 1"]);
    ended.assert_workspace_is_empty();
}

#[test]
fn a_deadline_leaves_the_wipe_its_own_time() {
    // The deadline is our own: no SIGKILL from the kubelet follows it.
    let ended = Fixture::new(SUPERVISOR)
        .flags(&["--grace", "100ms", "--deadline", "1s"])
        .env("SUPERVISOR_TERMINATION_GRACE_PERIOD", "3s")
        .env("SUPERVISOR_WIPE__RESERVE", "1s")
        .shell("trap '' TERM; mkdir d; for i in {1..50}; do :>d/$i; done; while :; do sleep 0.05; done");
    assert_eq!(ended.report()["reason"], "deadline");
    assert_eq!(phases(&ended), ["phase 1", "phase 2", "phase 3"]);
    let why = ended.stderr.matches(r#""why":"deadline""#).count();
    assert_eq!(why, 3, "{}", ended.stderr);
    ended.assert_workspace_is_empty();
}

#[test]
fn a_deadline_beyond_the_clocks_end_is_none() {
    let ended = Fixture::new(SUPERVISOR)
        .flags(&["--deadline", "18446744073709551615s"])
        .shell("exit 3");
    assert_eq!(ended.code(), 3, "{}", ended.stderr);
}

#[test]
fn a_flood_of_signals_hides_neither_the_clock_nor_the_end() {
    let flood = r"
        trap '' USR1
        for i in 1 2 3 4; do setsid perl -e 'kill USR1 => 1 while 1' & done
        exec sleep 1000
    ";
    let ended = Fixture::new(SUPERVISOR)
        .flags(&["--deadline", "1s"])
        .shell(flood);
    assert_eq!(ended.code(), 143, "{}", ended.stderr);
    assert_eq!(ended.report()["reason"], "deadline");
    ended.assert_workspace_is_empty();
}

#[test]
fn a_runner_that_leaves_its_group_is_no_less_the_runner() {
    let script = r#"
        use POSIX;
        $SIG{TERM} = "IGNORE";
        pipe(my $read, my $write);
        my $other = fork;
        if ($other == 0) { setpgid(0, 0); syswrite($write, "x"); sleep 1000 }
        sysread($read, my $byte, 1);
        setpgid(0, $other) or exit 1;
        open(my $f, ">", "ready"); close $f;
        sleep 1000 while 1;
    "#;
    let running = Fixture::new(SUPERVISOR)
        .flags(&["--grace", "100ms"])
        .env("SUPERVISOR_TERMINATION_GRACE_PERIOD", "5s")
        .env("SUPERVISOR_WIPE__RESERVE", "4500ms")
        .start(&["perl", "-e", script]);
    running.wait_for_file("ready");
    running.signal(Signal::SIGTERM);
    let ended = running.wait();
    assert_eq!(ended.report()["runner"]["signal"], 9, "{}", ended.stderr);
    assert_eq!(phases(&ended), ["phase 1", "phase 2", "phase 3"]);
    assert!(!ended.stderr.contains("everybody"), "{}", ended.stderr);
    ended.assert_workspace_is_empty();
}

#[test]
fn a_runner_whose_end_a_tracer_keeps_is_over_all_the_same() {
    // PTRACE_SEIZE: a zombie shows itself to its tracer first, and this one never looks.
    let script = format!(
        r#"
        use POSIX;
        pipe(my $read, my $write);
        my $runner = $$;
        if (fork == 0) {{
            setsid;
            syswrite($write, syscall({PTRACE}, 0x4206, $runner, 0, 0) == 0 ? "x" : "-");
            sleep 1000 while 1;
        }}
        sysread($read, my $byte, 1);
        exit($byte eq "x" ? 7 : 8);
        "#
    );
    let ended = Fixture::new(SUPERVISOR)
        .flags(&["--grace", "100ms", "--deadline", "2s"])
        .env("SUPERVISOR_TERMINATION_GRACE_PERIOD", "5s")
        .env("SUPERVISOR_WIPE__RESERVE", "4500ms")
        .run(&["perl", "-e", &script]);
    assert_eq!(ended.report()["runner"]["exit_code"], 7, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("SIGKILL to everybody"),
        "{}",
        ended.stderr
    );
    ended.assert_workspace_is_empty();
}

#[test]
fn the_second_act_wakes_a_runner_that_stopped_itself() {
    let running = Fixture::new(SUPERVISOR)
        .flags(&["--grace", "1s"])
        .env("SUPERVISOR_TERMINATION_GRACE_PERIOD", "600s")
        .start(&[
            "bash",
            "-c",
            "trap '[ -e asked ] && exit 9; touch asked; kill -STOP $$' TERM; touch ready; while :; do sleep 0.02; done",
        ]);
    running.wait_for_file("ready");
    running.signal(Signal::SIGTERM);
    let ended = running.wait();
    assert_eq!(ended.code(), 9, "{}", ended.stderr);
}

#[test]
fn a_stopped_runner_gets_its_graceful_signal_too() {
    let running = Fixture::new(SUPERVISOR)
        .flags(&["--grace", "500s"])
        .env("SUPERVISOR_TERMINATION_GRACE_PERIOD", "1000s")
        .start(&[
            "bash",
            "-c",
            "trap 'exit 6' TERM; touch ready; kill -STOP $$; sleep 1000",
        ]);
    running.wait_for_file("ready");
    let runner = running.runner();
    eventually("a stopped runner", || {
        status_field(runner, "State").filter(|state| state.starts_with('T'))
    });
    running.signal(Signal::SIGTERM);
    assert_eq!(running.wait().code(), 6);
}
