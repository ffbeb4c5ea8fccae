//! Wipe and report come whatever happens to the job, to us, or to where the report goes.

use std::fs::File;

use nix::sys::signal::Signal;

use crate::namespace::{Scene, wait_for};

#[test]
fn a_sigterm_before_the_job_starts_nothing_and_reports() {
    // Pending while the supervisor starts: bash leaves it blocked to none, so it is sent at exec time by a helper.
    let ended = Scene::new()
        .prelude("(sleep 0.001; kill -TERM 1) &")
        .shell("sleep 1000");
    assert!(
        [143].contains(&ended.code()),
        "{}\n{}",
        ended.code(),
        ended.stderr
    );
}

#[test]
fn after_a_sigkill_the_next_start_wipes_what_it_finds_and_says_so() {
    let running = Scene::new().start(&[
        "bash",
        "-c",
        "mkdir -p a/b; echo x >a/b/c; touch ready; sleep 1000",
    ]);
    running.wait_for_file("ready");
    running.signal(Signal::SIGKILL);
    let ended = running.wait();
    assert!(ended.scene.path("workspace/work/a/b/c").exists());

    let again = ended.scene.shell("ls -A; exit 2");
    assert_eq!(again.code(), 2);
    let report = again.report();
    assert_eq!(
        again.stdout.lines().count(),
        1,
        "the job saw old files: {}",
        again.stdout
    );
    assert!(report["found"]["files"].as_u64().unwrap() >= 2, "{report}");
    again.assert_workspace_is_empty();
}

#[test]
fn a_runner_that_closes_its_stdio_is_waited_for() {
    let ended = Scene::new().shell("exec <&- >&- 2>&-; sleep 0.2; exit 11");
    assert_eq!(ended.code(), 11);
    assert_eq!(ended.report()["runner"]["exit_code"], 11);
}

#[test]
fn a_runner_that_executes_itself_anew_is_the_same_runner() {
    let ended = Scene::new().shell("exec bash -c 'exec bash -c \"exit 12\"'");
    assert_eq!(ended.code(), 12);
}

#[test]
fn a_full_disk_or_a_closed_stdout_changes_no_exit_code() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let ended = Scene::new().stdout(full.into()).shell("exit 13");
    assert_eq!(ended.code(), 13, "{}", ended.stderr);
    ended.assert_workspace_is_empty();

    let ended = Scene::new().prelude("exec >&-").shell("exit 14");
    assert_eq!(ended.code(), 14, "{}", ended.stderr);
    ended.assert_workspace_is_empty();

    let ended = Scene::new().prelude("exec >&- 2>&- <&-").shell("exit 15");
    assert_eq!(ended.code(), 15);
    ended.assert_workspace_is_empty();
}

#[test]
fn the_kubelets_file_gets_the_report_within_its_limit() {
    let scene = Scene::new();
    let file = scene.path("report.json");
    std::fs::write(&file, "").unwrap();
    nix::unistd::chown(&file, Some(1000.into()), Some(1000.into())).unwrap();
    let ended = scene.shell("exit 0");
    let text = std::fs::read_to_string(ended.scene.path("report.json")).unwrap();
    assert!(text.len() <= 4096);
    let short: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(short["schema"], "ci-cd-agents.report/v1");
    assert_eq!(short["reason"], ended.report()["reason"]);
}

#[test]
fn an_idle_supervisor_makes_no_system_call_and_has_one_thread() {
    let running = Scene::new().start(&["bash", "-c", "touch ready; exec sleep 1000"]);
    running.wait_for_file("ready");
    let supervisor = running.supervisor();
    wait_for("an idle supervisor", || {
        let wchan = std::fs::read_to_string(format!("/proc/{supervisor}/syscall")).ok()?;
        // poll and ppoll.
        let sleeping: &[&str] = if cfg!(target_arch = "x86_64") {
            &["7", "271"]
        } else {
            &["73"]
        };
        sleeping.contains(&wchan.split(' ').next()?).then_some(())
    });
    let switches =
        || crate::namespace::status_field(supervisor, "voluntary_ctxt_switches").unwrap();
    let before = switches();
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(switches(), before, "it woke up while it had nothing to do");
    assert_eq!(
        crate::namespace::status_field(supervisor, "Threads").unwrap(),
        "1"
    );
    running.signal(Signal::SIGTERM);
    assert_eq!(running.wait().code(), 143);
}
