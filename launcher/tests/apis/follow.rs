//! Following a job: problems, logs, broken connections and Ctrl-C.

use std::io::{BufRead, BufReader};
use std::process::Child;

use fake_apis::kube::{Kube, report};
use fake_apis::server::Fault;
use nix::sys::signal::Signal;
use test_support::eventually;

use crate::fixture::{Fixture, send_signal, wait_for};

const JOB: &str = "runner-a";

/// Starts a launch that waits, and returns once its job is started.
fn waiting(fixture: &Fixture, arguments: &[&str]) -> Child {
    let child = fixture.spawn(&[&["--id", "a", "--wait"], arguments].concat());
    eventually("the start", || fixture.apis.kube.starts().len() == 1);
    child
}

/// Reads lines until one contains this.
fn read_until(reader: &mut impl BufRead, part: &str) -> String {
    let mut all = String::new();
    loop {
        let before = all.len();
        let read = reader.read_line(&mut all).unwrap();
        assert!(read > 0, "no line contains \"{part}\": {all}");
        if all[before..].contains(part) {
            return all;
        }
    }
}

#[test]
fn a_problem_is_reported_once_with_its_remedy() {
    let fixture = Fixture::new();
    let mut child = waiting(&fixture, &[]);
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let pod = Kube::pod_of(JOB);
    fixture.apis.kube.event(
        "Pod",
        &pod,
        "FailedScheduling",
        "0/3 nodes are available: 3 Insufficient cpu.",
    );
    fixture.apis.kube.event(
        "Pod",
        &pod,
        "FailedScheduling",
        "0/3 nodes are available: 3 Insufficient cpu.",
    );
    fixture
        .apis
        .kube
        .event("Pod", "another-pod-abcde", "FailedScheduling", "of another");
    fixture
        .apis
        .kube
        .event("Pod", &pod, "Pulled", "all is well");
    fixture
        .apis
        .kube
        .event("Pod", &pod, "FailedMount", "MountVolume.SetUp failed");
    let text = read_until(&mut stderr, "FailedMount");
    assert_eq!(text.matches("Insufficient cpu").count(), 1, "{text}");
    assert!(
        text.contains("resources.requests")
            && !text.contains("of another")
            && !text.contains("all is well"),
        "{text}"
    );
    fixture.apis.kube.run(JOB);
    read_until(&mut stderr, "runs on node-1");
    fixture.apis.kube.finish(JOB, 0, &report(0));
    assert_eq!(wait_for(child).code, Some(0));
}

#[test]
fn a_permanent_problem_removes_the_job() {
    let fixture = Fixture::new();
    let child = waiting(&fixture, &[]);
    let forbidden = "pods \"runner-a-x\" is forbidden: violates PodSecurity \"restricted:latest\"";
    // The pod was not created, so its runner did not connect.
    fixture.apis.github.finish_job("jit-1");
    fixture
        .apis
        .kube
        .event("Job", JOB, "FailedCreate", forbidden);
    let ran = wait_for(child);
    assert_eq!(ran.code, Some(69), "{ran:?}");
    assert!(
        ran.stderr.contains("enforce=baseline") && ran.stderr.contains("The job was removed"),
        "{ran:?}"
    );
    fixture.assert_nothing_left();
}

#[test]
fn events_of_an_earlier_job_are_ignored() {
    let fixture = Fixture::new();
    let child = waiting(&fixture, &[]);
    // The pod was not created, so its runner did not connect.
    fixture.apis.github.finish_job("jit-1");
    let forbidden = "pods \"runner-a-x\" is forbidden: violates PodSecurity \"restricted:latest\"";
    fixture
        .apis
        .kube
        .event("Job", JOB, "FailedCreate", forbidden);
    assert_eq!(wait_for(child).code, Some(69));
    // Kubernetes keeps the event for an hour. In the meantime an administrator corrects the namespace.
    let child = fixture.spawn(&["--id", "a", "--wait"]);
    eventually("the second start", || fixture.apis.kube.starts().len() == 2);
    fixture.apis.kube.run(JOB);
    fixture.apis.kube.finish(JOB, 0, &report(0));
    let ran = wait_for(child);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!ran.stderr.contains("PodSecurity"), "{ran:?}");
}

#[test]
fn a_job_without_a_terminated_container_has_a_reason() {
    for (reason, code) in [("PodFailurePolicy", 75), ("DeadlineExceeded", 70)] {
        let fixture = Fixture::new();
        let child = waiting(&fixture, &[]);
        fixture.apis.kube.delete("pods", &Kube::pod_of(JOB));
        fixture.apis.kube.end_job(JOB, "Failed", reason);
        let ran = wait_for(child);
        assert_eq!(ran.code, Some(code), "{ran:?}");
    }
    let fixture = Fixture::new();
    let child = waiting(&fixture, &["--output", "json"]);
    fixture.apis.kube.delete("jobs", JOB);
    let ran = wait_for(child);
    assert_eq!(ran.code, Some(70), "{ran:?}");
    assert_eq!(ran.objects()[0]["outcome"]["reason"], "removed");
}

#[test]
fn a_broken_watch_misses_nothing() {
    let fixture = Fixture::new();
    let mut child = waiting(&fixture, &[]);
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let pod = Kube::pod_of(JOB);
    for (end, reason) in [
        (1, "FailedMount"),
        (2, "Evicted"),
        (3, "FailedCreatePodSandBox"),
    ] {
        match end {
            1 => fixture.apis.kube.end_watches(false),
            2 => fixture.apis.kube.end_watches(true),
            _ => fixture.apis.kube.expire_watches(),
        }
        fixture
            .apis
            .kube
            .event("Pod", &pod, reason, "after the break");
        read_until(&mut stderr, reason);
    }
    // The next list contains the changes of the time without a watch.
    fixture.apis.kube_server.set_faults(|request| {
        request
            .query
            .contains_key("watch")
            .then(|| Fault::Status(503, serde_json::json!({}), vec![]))
    });
    fixture.apis.kube.expire_watches();
    fixture.apis.kube.finish(JOB, 9, &report(9));
    fixture.apis.kube_server.clear_faults();
    assert_eq!(wait_for(child).code, Some(9));
}

/// Rejects all lists and watches.
fn reject_reads(fixture: &Fixture) {
    fixture.apis.kube_server.set_faults(|request| {
        let unavailable = Fault::Status(503, serde_json::json!({}), vec![]);
        (request.method == "GET").then_some(unavailable)
    });
}

#[test]
fn a_job_deleted_between_two_watches_has_ended() {
    let fixture = Fixture::new();
    let child = waiting(&fixture, &[]);
    let reads = || fixture.apis.kube_server.count("GET ");
    // Three lists and three watches.
    eventually("the watches", || reads() == 6);
    reject_reads(&fixture);
    fixture.apis.kube.expire_watches();
    eventually("another attempt", || reads() > 6);
    fixture.apis.kube.delete("jobs", JOB);
    fixture.apis.kube_server.clear_faults();
    assert_eq!(wait_for(child).code, Some(70));
}

#[test]
fn a_job_deleted_before_it_was_seen_has_ended() {
    let fixture = Fixture::new();
    reject_reads(&fixture);
    let mut child = waiting(&fixture, &[]);
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    read_until(&mut stderr, "runner-a: launched");
    fixture.apis.kube.delete("jobs", JOB);
    fixture.apis.kube_server.clear_faults();
    assert_eq!(wait_for(child).code, Some(70));
}

#[test]
fn logs_are_complete_if_connections_break() {
    let fixture = Fixture::new();
    let expected: Vec<String> = (0..200)
        .map(|number| format!("line {number} {}", "x".repeat(number % 50)))
        .collect();
    let child = waiting(&fixture, &["--logs"]);
    for (number, text) in expected.iter().enumerate() {
        // Three lines share each timestamp.
        let time = format!(
            "2027-01-15T08:00:{:02}.{:09}Z",
            number / 30,
            (number / 3) * 1000
        );
        fixture.apis.kube.log(JOB, "runner", &time, text);
    }
    // Before the first line, and within lines.
    fixture
        .apis
        .kube
        .break_log(JOB, "runner", vec![0, 10, 500, 777, 3000, 3000, 4000]);
    fixture
        .apis
        .kube
        .log(JOB, "builder", "2027-01-15T08:00:00Z", "built");
    fixture.apis.kube.run(JOB);
    eventually("the breaks", || fixture.apis.kube_server.count("/log") >= 9);
    fixture
        .apis
        .kube
        .log(JOB, "runner", "2027-01-15T09:00:00Z", "the last");
    fixture.apis.kube.finish(JOB, 0, &report(0));
    fixture.apis.kube.end_logs(JOB);
    let ran = wait_for(child);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let (builder, runner): (Vec<&str>, Vec<&str>) = ran
        .stdout
        .lines()
        .partition(|line| line.starts_with("builder | "));
    assert_eq!(builder, ["builder | built"]);
    let (end, lines) = runner.split_last().unwrap();
    assert!(end.starts_with("runner-a  completed  exit 0"), "{end}");
    let (last, lines) = lines.split_last().unwrap();
    assert_eq!(*last, "the last");
    assert_eq!(lines, expected);
}

#[test]
fn a_termination_message_is_one_line_without_control_characters() {
    let fixture = Fixture::new();
    let child = waiting(&fixture, &[]);
    let message = "\u{1b}]0;title\u{7}no\nrunner-b  completed  exit 0";
    fixture.apis.kube.run(JOB);
    fixture.apis.kube.finish(JOB, 9, message);
    let ran = wait_for(child);
    assert_eq!(ran.code, Some(9), "{ran:?}");
    assert_eq!(ran.stdout.lines().count(), 1, "{ran:?}");
    let controls = |text: &str| text.contains(|c: char| c.is_control() && c != '\n');
    assert!(!controls(&ran.stdout) && !controls(&ran.stderr), "{ran:?}");
}

#[test]
fn only_a_terminal_gets_a_log_without_control_characters() {
    let text = "\u{1b}[31mred\u{1b}[m \u{1b}]0;title\u{7}x";
    for (terminal, shown) in [(false, text), (true, "\u{1b}[31mred\u{1b}[m ]0;titlex")] {
        let fixture = Fixture::new();
        let mut command = fixture.command(&crate::fixture::launch(&["--id", "a", "--logs"]));
        let pty = nix::pty::openpty(None, None).unwrap();
        if terminal {
            command.stdout(pty.slave.try_clone().unwrap());
        }
        let mut child = command.spawn().unwrap();
        drop((command, pty.slave));
        eventually("the start", || fixture.apis.kube.starts().len() == 1);
        fixture
            .apis
            .kube
            .log(JOB, "runner", "2027-01-15T08:00:00Z", text);
        fixture.apis.kube.run(JOB);
        let line = if terminal {
            let mut line = String::new();
            BufReader::new(std::fs::File::from(pty.master))
                .read_line(&mut line)
                .unwrap();
            line
        } else {
            read_until(&mut BufReader::new(child.stdout.take().unwrap()), "red")
        };
        assert_eq!(line.trim_end(), shown);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn ctrl_c_cancels_a_launch_that_does_not_wait() {
    let fixture = Fixture::new();
    let (send_child, child_started) = std::sync::mpsc::channel::<Child>();
    let (send_back, signalled) = std::sync::mpsc::channel();
    fixture.apis.kube_server.set_faults(move |request| {
        if request.line().contains("secrets")
            && let Ok(child) = child_started.recv()
        {
            send_signal(&child, Signal::SIGINT);
            send_back.send(child).unwrap();
        }
        None
    });
    send_child
        .send(fixture.spawn(&["--id", "a", "--cancel-on-interrupt"]))
        .unwrap();
    drop(send_child);
    let ran = wait_for(signalled.recv().unwrap());
    assert_eq!(ran.code, Some(130), "{ran:?}");
    assert!(ran.stdout.contains("runner-a  cancelled"), "{ran:?}");
    assert!(
        fixture.apis.kube.list("jobs").is_empty() && fixture.apis.kube.list("secrets").is_empty()
    );
}

#[test]
fn ctrl_c_cancels_the_job_only_with_the_option() {
    let fixture = Fixture::new();
    let child = waiting(&fixture, &[]);
    fixture.apis.kube.run(JOB);
    send_signal(&child, Signal::SIGINT);
    let detached = wait_for(child);
    assert_eq!(detached.code, Some(130), "{detached:?}");
    assert!(
        detached.stderr.contains("--id a follows it again"),
        "{detached:?}"
    );
    assert!(fixture.job("a").is_some());
    let fixture = Fixture::new();
    let child = waiting(&fixture, &["--cancel-on-interrupt"]);
    send_signal(&child, Signal::SIGINT);
    let cancelled = wait_for(child);
    assert_eq!(cancelled.code, Some(130), "{cancelled:?}");
    assert!(
        cancelled.stdout.contains("runner-a  cancelled"),
        "{cancelled:?}"
    );
    assert!(
        fixture.apis.kube.list("jobs").is_empty() && fixture.apis.kube.list("secrets").is_empty()
    );
}
