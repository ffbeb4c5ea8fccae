//! Every signal that can be forwarded reaches the runner's group, and the runner starts with a clean slate.

// nix has no names for real-time signals.
use linux::libc_ext::kill;
use nix::sys::signal::Signal;
use test_support::procfs::status_field;
use test_support::{Fixture, Running, eventually};

use crate::SUPERVISOR;

/// Notes each signal by number in the file `got`; the end is asked for by the file `end`.
const LISTENER: &str = r#"
    for n in $(seq 1 64); do
        case $n in 9|17|19|32|33) continue;; esac
        trap "echo $n >>got" $n
    done
    # No child that a stop signal would stop, and bash with it.
    mkfifo idle; exec 3<>idle
    touch ready
    until [ -e end ]; do read -rt 0.02 -u 3; done
    exit 0
"#;

fn got(running: &Running) -> Vec<String> {
    let path = running.fixture.path("workspace/work/got");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn each_reaches_the_runner_with_its_own_number() {
    let running = Fixture::new(SUPERVISOR)
        .flags(&["--grace", "20s"])
        .start(&["bash", "-c", LISTENER]);
    running.wait_for_file("ready");
    let supervisor = running.supervisor();
    // SIGTERM last: it begins a termination. SIGKILL and SIGSTOP cannot be forwarded, SIGCHLD is our own, 32 and 33 are
    // the C library's, and the synchronous ones tell of our own defects.
    let skipped = [4, 5, 6, 7, 8, 9, 11, 15, 17, 19, 31, 32, 33];
    let mut expected = Vec::new();
    for number in (1..=64)
        .filter(|number| !skipped.contains(number))
        .chain([15])
    {
        assert_eq!(kill(supervisor.as_raw(), number), Ok(()), "{number}");
        expected.push(number.to_string());
        eventually(&format!("signal {number}"), || {
            (got(&running) == expected).then_some(())
        });
    }
    running.let_end();
    assert_eq!(running.wait().code(), 0);
}

#[test]
fn the_whole_group_gets_them() {
    let script = r#"
        trap 'touch parent-got' USR1
        bash -c 'trap "touch child-got" USR1; touch child-ready; until [ -e end ]; do sleep 0.02; done' &
        until [ -e end ]; do sleep 0.02; done
        # The loop's status may be that of a sleep that the signal ended.
        exit 0
    "#;
    let running = Fixture::new(SUPERVISOR).start(&["bash", "-c", script]);
    running.wait_for_file("child-ready");
    running.signal(Signal::SIGUSR1);
    running.wait_for_file("child-got");
    running.wait_for_file("parent-got");
    running.let_end();
    assert_eq!(running.wait().code(), 0);
}

#[test]
fn starts_the_runner_with_default_dispositions_and_mask() {
    let ended = Fixture::new(SUPERVISOR)
        .prelude("trap '' PIPE USR1 INT TERM HUP RTMIN+3")
        .run(&["cat", "/proc/self/status"]);
    assert_eq!(ended.code(), 0);
    // The C library reserves signals 32 and 33, and no program can change them.
    let reserved: u64 = 0b11 << 31;
    for field in ["SigBlk:", "SigIgn:", "SigCgt:"] {
        let line = ended
            .stdout
            .lines()
            .find(|line| line.starts_with(field))
            .unwrap();
        let set = u64::from_str_radix(line[field.len()..].trim(), 16).unwrap();
        assert_eq!(set & !reserved, 0, "{line}");
    }
}

#[test]
fn stops_and_continues_the_runner_from_the_terminal() {
    for signal in [Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU] {
        let running = Fixture::new(SUPERVISOR).start(&[
            "bash",
            "-c",
            "touch ready; until [ -e end ]; do sleep 0.02; done",
        ]);
        running.wait_for_file("ready");
        let (supervisor, runner) = (running.supervisor(), running.runner());
        running.signal(signal);
        eventually("a stopped runner", || {
            status_field(runner, "State").filter(|state| state.starts_with('T'))
        });
        assert!(!status_field(supervisor, "State").unwrap().starts_with('T'));
        running.signal(Signal::SIGCONT);
        running.let_end();
        assert_eq!(running.wait().code(), 0);
    }
}

#[test]
fn a_thousand_sigterms_in_a_second_leave_the_runner_its_time() {
    let running = Fixture::new(SUPERVISOR).start(&[
        "bash",
        "-c",
        "trap 'sleep 0.3; exit 5' TERM; touch ready; while :; do sleep 0.02; done",
    ]);
    running.wait_for_file("ready");
    let supervisor = running.supervisor().as_raw();
    for _ in 0..1000 {
        let _ = kill(supervisor, 15);
    }
    let ended = running.wait();
    assert_eq!(ended.code(), 5, "{}", ended.stderr);
    assert_eq!(ended.report()["reason"], "terminated");
    ended.assert_workspace_is_empty();
}

#[test]
fn a_burst_of_sigterms_brings_no_more_than_one_act_forward() {
    // As fast as a second has hundreds, for longer than a phase has to work.
    let running = Fixture::new(SUPERVISOR)
        .flags(&["--grace", "500s"])
        .env("SUPERVISOR_TERMINATION_GRACE_PERIOD", "1000s")
        .start(&[
            "bash",
            "-c",
            "trap '' TERM; touch ready; until [ -e end ]; do sleep 0.02; done; exit 5",
        ]);
    running.wait_for_file("ready");
    let supervisor = running.supervisor().as_raw();
    for _ in 0..500 {
        let _ = kill(supervisor, 15);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    running.let_end();
    let ended = running.wait();
    assert_eq!(ended.code(), 5, "{}", ended.stderr);
    assert!(!ended.stderr.contains("phase 3"), "{}", ended.stderr);
}

#[test]
fn one_that_came_before_the_runner_reaches_it() {
    // Sent while it is blocked, so that it waits for the supervisor from its first instruction on.
    let ended = Fixture::new(SUPERVISOR)
        .prelude(r#"exec env --block-signal=USR1 bash -c 'kill -USR1 $$; "$@"' bash \"#)
        .run(&["sleep", "1000"]);
    assert_eq!(
        ended.code(),
        128 + Signal::SIGUSR1 as i32,
        "{}",
        ended.stderr
    );
}

#[test]
fn real_time_signals_queue_and_none_is_lost() {
    let script = r#"
        use POSIX;
        $SIG{NUM40} = sub { $n++ };
        sigprocmask(SIG_BLOCK, POSIX::SigSet->new(40));
        open(my $f, ">", "ready"); close $f;
        sigsuspend(POSIX::SigSet->new) until $n >= 100; exit 21;
    "#;
    // One a time, because Perl calls its handler once for all that wait.
    let running = Fixture::new(SUPERVISOR).start(&["perl", "-e", script]);
    running.wait_for_file("ready");
    let supervisor = running.supervisor().as_raw();
    for _ in 0..100 {
        assert_eq!(kill(supervisor, 40), Ok(()));
    }
    assert_eq!(running.wait().code(), 21);
}
