//! Wipe and report follow each failure: of the job, of the supervisor, and of the report's destination.

use std::fs::File;
use std::os::fd::OwnedFd;

use nix::fcntl::OFlag;
use nix::sys::signal::Signal;
use test_support::procfs::status_field;
use test_support::{Fixture, eventually};

use crate::SUPERVISOR;

/// A pipe that takes nothing more.
fn full_pipe() -> (OwnedFd, OwnedFd) {
    let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
    let flags = |flags| nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_SETFL(flags)).unwrap();
    flags(OFlag::O_NONBLOCK);
    while nix::unistd::write(&writer, &[0; 4096]).is_ok() {}
    flags(OFlag::empty());
    (reader, writer)
}

#[test]
fn a_sigterm_before_the_job_starts_nothing_and_reports() {
    // Sent while it is blocked, so that it waits for the supervisor from its first instruction on.
    let ended = Fixture::new(SUPERVISOR)
        .prelude(r#"exec env --block-signal=TERM bash -c 'kill -TERM $$; "$@"' bash \"#)
        .shell("touch must-not-run; sleep 1000");
    assert_eq!(ended.code(), 143, "{}", ended.stderr);
    let report = ended.report();
    assert_eq!(report["reason"], "terminated");
    assert_eq!(report["runner"], serde_json::Value::Null);
    ended.assert_workspace_is_empty();
}

#[test]
fn a_panic_in_any_step_still_wipes_and_reports() {
    for step in ["preflight", "storage", "secrets", "runner"] {
        let fixture = Fixture::new(SUPERVISOR).env("TEST_PANIC_IN_STEP", step);
        std::fs::write(fixture.path("workspace/old"), "left").unwrap();
        let ended = fixture.shell("exit 0");
        assert_eq!(ended.code(), 71, "{step}: {}", ended.stderr);
        let report = ended.report();
        assert_eq!(report["reason"], "internal");
        assert_eq!(report["failed_step"], step);
        let message = report["message"].as_str().unwrap();
        assert!(message.contains("as asked for"), "{message}");
        ended.assert_workspace_is_empty();
    }
    // In the wipe itself something may be left, and that is said.
    let ended = Fixture::new(SUPERVISOR)
        .env("TEST_PANIC_IN_STEP", "wipe")
        .shell("exit 0");
    assert_eq!(ended.code(), 75, "{}", ended.stderr);
    assert_eq!(ended.report()["reason"], "leftovers");
}

#[test]
fn wipes_and_reports_leftovers_at_the_start_after_a_sigkill() {
    let running = Fixture::new(SUPERVISOR).start(&[
        "bash",
        "-c",
        "mkdir -p a/b; echo x >a/b/c; touch ready; sleep 1000",
    ]);
    running.wait_for_file("ready");
    running.signal(Signal::SIGKILL);
    let ended = running.wait();
    assert!(ended.fixture.path("workspace/work/a/b/c").exists());

    let again = ended.fixture.shell("ls -A; exit 2");
    assert_eq!(again.code(), 2);
    let report = again.report();
    // An empty line stands before the report, in case that the job's last one was not ended.
    assert_eq!(
        again.stdout.lines().count(),
        2,
        "the job saw old files: {}",
        again.stdout
    );
    assert!(report["found"]["files"].as_u64().unwrap() >= 2, "{report}");
    again.assert_workspace_is_empty();
}

#[test]
fn no_job_starts_among_what_cannot_be_wiped() {
    let fixture = Fixture::new(SUPERVISOR);
    let file = fixture.path("workspace/work/old/file");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    // Of root, in a directory of root: not ours to remove.
    std::fs::write(&file, "earlier job").unwrap();
    let ended = fixture.shell("echo started");
    assert_eq!(ended.code(), 70, "{}", ended.stderr);
    assert!(!ended.stdout.contains("started"), "{}", ended.stdout);
    let report = ended.report();
    assert_eq!(report["reason"], "preflight");
    let message = report["message"].as_str().unwrap();
    assert!(message.contains("workspace/work/old/file"), "{message}");
}

#[test]
fn a_wrong_configuration_is_reported_where_it_was_asked_for() {
    let ended = Fixture::new(SUPERVISOR)
        .env("SUPERVISOR_GRACE", "soon")
        .shell("true");
    assert_eq!(ended.code(), 78);
    assert_eq!(ended.report()["reason"], "config");
}

#[test]
fn a_runner_that_closes_its_stdio_is_waited_for() {
    let ended = Fixture::new(SUPERVISOR).shell("exec <&- >&- 2>&-; sleep 0.2; exit 11");
    assert_eq!(ended.code(), 11);
    assert_eq!(ended.report()["runner"]["exit_code"], 11);
}

#[test]
fn a_runner_that_executes_itself_anew_is_the_same_runner() {
    let ended = Fixture::new(SUPERVISOR).shell("exec bash -c 'exec bash -c \"exit 12\"'");
    assert_eq!(ended.code(), 12);
}

#[test]
fn a_full_disk_or_a_closed_stdout_changes_no_exit_code() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let ended = Fixture::new(SUPERVISOR)
        .stdout(full.into())
        .shell("exit 13");
    assert_eq!(ended.code(), 13, "{}", ended.stderr);
    ended.assert_workspace_is_empty();

    let ended = Fixture::new(SUPERVISOR)
        .prelude("exec >&-")
        .shell("exit 14");
    assert_eq!(ended.code(), 14, "{}", ended.stderr);
    ended.assert_workspace_is_empty();

    let ended = Fixture::new(SUPERVISOR)
        .prelude("exec >&- 2>&- <&-")
        .shell("exit 15");
    assert_eq!(ended.code(), 15);
    ended.assert_workspace_is_empty();
}

#[test]
fn a_stderr_that_is_full_or_broken_disturbs_nobody() {
    for prelude in [
        "exec 2>/dev/full",
        "exec 2> >(true); sleep 0.1",
        "exec 2>&-",
    ] {
        let ended = Fixture::new(SUPERVISOR)
            .prelude(prelude)
            .flags(&["--log-level", "debug"])
            .shell("exit 16");
        assert_eq!(ended.code(), 16, "{prelude}");
        assert_eq!(ended.report()["reason"], "failed");
        ended.assert_workspace_is_empty();
    }
}

#[test]
fn a_panic_is_told_to_nobody_who_does_not_read() {
    let (reader, writer) = full_pipe();
    let ended = Fixture::new(SUPERVISOR)
        .env("TEST_PANIC_IN_STEP", "runner")
        .stderr(writer.into())
        .shell("exit 0");
    assert_eq!(ended.code(), 71);
    assert_eq!(ended.report()["reason"], "internal");
    ended.assert_workspace_is_empty();
    drop(reader);
}

#[test]
fn the_report_has_a_line_of_its_own() {
    let ended = Fixture::new(SUPERVISOR).run(&["printf", "no end"]);
    assert!(ended.stdout.starts_with("no end\n"), "{}", ended.stdout);
    let report = ended.report();
    let steps = report["steps"].as_array().unwrap().iter();
    let steps: Vec<&str> = steps.map(|step| step["step"].as_str().unwrap()).collect();
    let all = ["preflight", "storage", "secrets", "runner", "wipe"];
    assert!(all.iter().all(|step| steps.contains(step)), "{steps:?}");
    assert!(report["runner"]["peak_memory_bytes"].as_u64() > Some(0));
}

#[test]
fn a_stdout_that_nobody_reads_holds_up_neither_wipe_nor_end() {
    let (reader, writer) = full_pipe();
    let ended = Fixture::new(SUPERVISOR)
        .stdout(writer.into())
        .shell("exit 17");
    assert_eq!(ended.code(), 17, "{}", ended.stderr);
    ended.assert_workspace_is_empty();
    drop(reader);
}

#[test]
fn a_report_file_that_became_a_fifo_is_not_waited_for() {
    let fixture = Fixture::new(SUPERVISOR);
    let file = fixture.path("report.json");
    nix::unistd::mkfifo(&file, nix::sys::stat::Mode::from_bits_truncate(0o666)).unwrap();
    nix::unistd::chown(&file, Some(1000.into()), None).unwrap();
    let ended = fixture.shell("exit 18");
    assert_eq!(ended.code(), 18, "{}", ended.stderr);
    assert_eq!(ended.report()["runner"]["exit_code"], 18);
}

#[test]
fn the_kubelets_file_gets_the_report_within_its_limit() {
    let fixture = Fixture::new(SUPERVISOR);
    let file = fixture.path("report.json");
    std::fs::write(&file, "").unwrap();
    nix::unistd::chown(&file, Some(1000.into()), Some(1000.into())).unwrap();
    let ended = fixture.shell("exit 0");
    let text = std::fs::read_to_string(ended.fixture.path("report.json")).unwrap();
    assert!(text.len() <= 4096);
    let short: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(short["schema"], "ci-cd-agents.report/v1");
    assert_eq!(short["reason"], ended.report()["reason"]);
}

#[test]
fn an_idle_supervisor_makes_no_system_call_and_has_one_thread() {
    let running = Fixture::new(SUPERVISOR).start(&["bash", "-c", "touch ready; exec sleep 1000"]);
    running.wait_for_file("ready");
    let supervisor = running.supervisor();
    eventually("an idle supervisor", || {
        let wchan = std::fs::read_to_string(format!("/proc/{supervisor}/syscall")).ok()?;
        let poll = if cfg!(target_arch = "x86_64") {
            "7"
        } else {
            // aarch64 has ppoll only.
            "73"
        };
        (wchan.split(' ').next()? == poll).then_some(())
    });
    // `strace -c -p` says the same, but may not be installed: a process that never runs makes no system call.
    let switches = || status_field(supervisor, "voluntary_ctxt_switches").unwrap();
    let before = switches();
    std::thread::sleep(std::time::Duration::from_secs(10));
    assert_eq!(switches(), before, "it woke up while it had nothing to do");
    assert_eq!(status_field(supervisor, "Threads").unwrap(), "1");
    running.signal(Signal::SIGTERM);
    assert_eq!(running.wait().code(), 143);
}

#[test]
fn without_memory_the_wipe_and_the_report_come_from_the_reserve() {
    // Whatever process of our user likes may set PID 1's limits, here to what it has already.
    let script = "mkdir -p d/e; touch d/e/{1..500}; ln -s d l;
        prlimit --pid 1 --as=4096:4096 --data=4096:4096 --stack=4096:4096 || exit 1; exit 22";
    let ended = Fixture::new(SUPERVISOR).shell(script);
    assert_eq!(ended.code(), 22, "{}", ended.stderr);
    assert_eq!(ended.report()["runner"]["exit_code"], 22);
    ended.assert_workspace_is_empty();
}

#[test]
fn a_start_without_memory_starts_no_job_and_reports() {
    // From too little for the kernel to load the program to enough. The arguments are large, so that our own allocations
    // fail in between at many places, and lie where they lie each time.
    let argument = "x".repeat(100_000);
    let mut job = vec!["/bin/sh", "-c", "exit 23"];
    job.extend([argument.as_str(); 15]);
    let code = |kibibytes: u32| {
        let prelude = format!(r#"ulimit -v {kibibytes}; exec setarch -R bash -c '"$@"' bash \"#);
        Fixture::new(SUPERVISOR).prelude(&prelude).run(&job).code()
    };
    let codes = (0..400).map(|step| code(20_000 + step * 250));
    let codes: Vec<i32> = codes.scan(false, until(23)).collect();
    assert_eq!(codes.last(), Some(&23), "{codes:?}");
    // Until Rust's runtime has started, the kernel, the loader and the runtime end the program in their own ways.
    let mut ours = codes
        .iter()
        .skip_while(|code| [127, 134, 139].contains(code));
    // 71 is our exit code; an uncaught allocation failure would end in SIGABRT.
    assert!(ours.clone().any(|code| *code == 71), "{codes:?}");
    assert!(ours.all(|code| *code != 134), "{codes:?}");
}

/// Takes items up to and including the first `last`.
fn until(last: i32) -> impl FnMut(&mut bool, i32) -> Option<i32> {
    move |over, code| {
        let taken = (!*over).then_some(code);
        *over = code == last;
        taken
    }
}
