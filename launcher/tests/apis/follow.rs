//! Following a job: its troubles, its logs, breaks of the connection, and Ctrl-C.

use std::io::{BufRead, BufReader};
use std::process::Child;

use nix::sys::signal::Signal;

use crate::fakes::kube::{Kube, report};
use crate::fakes::server::Fault;
use crate::fixture::{Lab, ran, signal, until};

const JOB: &str = "runner-a";

/// A launch that waits, its job started.
fn waiting(lab: &Lab, arguments: &[&str]) -> Child {
    let child = lab.spawn(&[&["--id", "a", "--wait"], arguments].concat());
    until("the start", || lab.world.kube.starts().len() == 1);
    child
}

/// Reads lines until one contains this.
fn read_until(reader: &mut impl BufRead, part: &str) -> String {
    let mut all = String::new();
    loop {
        let before = all.len();
        let read = reader.read_line(&mut all).unwrap();
        assert!(read > 0, "\"{part}\" never came: {all}");
        if all[before..].contains(part) {
            return all;
        }
    }
}

#[test]
fn what_stands_in_the_way_is_told_once_with_its_cure() {
    let lab = Lab::new();
    let mut child = waiting(&lab, &[]);
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let pod = Kube::pod_of(JOB);
    lab.world.kube.event(
        "Pod",
        &pod,
        "FailedScheduling",
        "0/3 nodes are available: 3 Insufficient cpu.",
    );
    lab.world.kube.event(
        "Pod",
        &pod,
        "FailedScheduling",
        "0/3 nodes are available: 3 Insufficient cpu.",
    );
    lab.world
        .kube
        .event("Pod", "another-pod-abcde", "FailedScheduling", "of another");
    lab.world.kube.event("Pod", &pod, "Pulled", "all is well");
    lab.world
        .kube
        .event("Pod", &pod, "FailedMount", "MountVolume.SetUp failed");
    let said = read_until(&mut stderr, "FailedMount");
    assert_eq!(said.matches("Insufficient cpu").count(), 1, "{said}");
    assert!(
        said.contains("resources.requests")
            && !said.contains("of another")
            && !said.contains("all is well"),
        "{said}"
    );
    lab.world.kube.run(JOB);
    read_until(&mut stderr, "runs on node-1");
    lab.world.kube.finish(JOB, 0, &report(0));
    assert_eq!(ran(child).code, Some(0));
}

#[test]
fn what_will_not_pass_ends_the_job() {
    let lab = Lab::new();
    let child = waiting(&lab, &[]);
    let forbidden = "pods \"runner-a-x\" is forbidden: violates PodSecurity \"restricted:latest\"";
    // The runner had not connected: its pod never was.
    lab.world.github.done("jit-1");
    lab.world.kube.event("Job", JOB, "FailedCreate", forbidden);
    let ran = ran(child);
    assert_eq!(ran.code, Some(69), "{ran:?}");
    assert!(
        ran.stderr.contains("enforce=baseline") && ran.stderr.contains("The job was removed"),
        "{ran:?}"
    );
    lab.assert_nothing_left();
}

#[test]
fn an_earlier_jobs_events_are_not_this_jobs() {
    let lab = Lab::new();
    let child = waiting(&lab, &[]);
    // The runner had not connected: its pod never was.
    lab.world.github.done("jit-1");
    let forbidden = "pods \"runner-a-x\" is forbidden: violates PodSecurity \"restricted:latest\"";
    lab.world.kube.event("Job", JOB, "FailedCreate", forbidden);
    assert_eq!(ran(child).code, Some(69));
    // Kubernetes keeps the event for an hour. Meanwhile the namespace was put right.
    let child = lab.spawn(&["--id", "a", "--wait"]);
    until("the second start", || lab.world.kube.starts().len() == 2);
    lab.world.kube.run(JOB);
    lab.world.kube.finish(JOB, 0, &report(0));
    let ran = ran(child);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!ran.stderr.contains("PodSecurity"), "{ran:?}");
}

#[test]
fn a_job_that_ends_without_its_container_says_why() {
    for (reason, code) in [("PodFailurePolicy", 75), ("DeadlineExceeded", 70)] {
        let lab = Lab::new();
        let child = waiting(&lab, &[]);
        lab.world.kube.delete("pods", &Kube::pod_of(JOB));
        lab.world.kube.end_job(JOB, "Failed", reason);
        let ran = ran(child);
        assert_eq!(ran.code, Some(code), "{ran:?}");
    }
    let lab = Lab::new();
    let child = waiting(&lab, &["--output", "json"]);
    lab.world.kube.delete("jobs", JOB);
    let ran = ran(child);
    assert_eq!(ran.code, Some(70), "{ran:?}");
    assert_eq!(ran.objects()[0]["outcome"]["reason"], "removed");
}

#[test]
fn a_watch_that_breaks_misses_nothing() {
    let lab = Lab::new();
    let mut child = waiting(&lab, &[]);
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let pod = Kube::pod_of(JOB);
    for (end, reason) in [
        (1, "FailedMount"),
        (2, "Evicted"),
        (3, "FailedCreatePodSandBox"),
    ] {
        match end {
            1 => lab.world.kube.end_watches(false),
            2 => lab.world.kube.end_watches(true),
            _ => lab.world.kube.expire_watches(),
        }
        lab.world.kube.event("Pod", &pod, reason, "after the break");
        read_until(&mut stderr, reason);
    }
    // What happens while nobody watches is in the next list.
    lab.world.kube_server.faults(|request| {
        request
            .query
            .contains_key("watch")
            .then(|| Fault::Status(503, serde_json::json!({}), vec![]))
    });
    lab.world.kube.expire_watches();
    lab.world.kube.finish(JOB, 9, &report(9));
    lab.world.kube_server.no_faults();
    assert_eq!(ran(child).code, Some(9));
}

/// Nobody can watch or list.
fn blind(lab: &Lab) {
    lab.world.kube_server.faults(|request| {
        let unavailable = Fault::Status(503, serde_json::json!({}), vec![]);
        (request.method == "GET").then_some(unavailable)
    });
}

#[test]
fn a_job_that_is_removed_while_nobody_watches_has_ended() {
    let lab = Lab::new();
    let child = waiting(&lab, &[]);
    let asked = || lab.world.kube_server.count("GET ");
    // Three lists and three watches.
    until("the watches", || asked() == 6);
    blind(&lab);
    lab.world.kube.expire_watches();
    until("another try", || asked() > 6);
    lab.world.kube.delete("jobs", JOB);
    lab.world.kube_server.no_faults();
    assert_eq!(ran(child).code, Some(70));
}

#[test]
fn a_job_that_is_removed_before_it_was_ever_seen_has_ended() {
    let lab = Lab::new();
    blind(&lab);
    let mut child = waiting(&lab, &[]);
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    read_until(&mut stderr, "runner-a: launched");
    lab.world.kube.delete("jobs", JOB);
    lab.world.kube_server.no_faults();
    assert_eq!(ran(child).code, Some(70));
}

#[test]
fn logs_come_whole_and_once_however_often_the_connection_breaks() {
    let lab = Lab::new();
    let expected: Vec<String> = (0..200)
        .map(|number| format!("line {number} {}", "x".repeat(number % 50)))
        .collect();
    let child = waiting(&lab, &["--logs"]);
    for (number, text) in expected.iter().enumerate() {
        // Three lines share a time, several times a second.
        let time = format!(
            "2027-01-15T08:00:{:02}.{:09}Z",
            number / 30,
            (number / 3) * 1000
        );
        lab.world.kube.log(JOB, "runner", &time, text);
    }
    // In the midst of lines, early and late, and once before the first.
    lab.world
        .kube
        .break_log(JOB, "runner", vec![0, 10, 500, 777, 3000, 3000, 4000]);
    lab.world
        .kube
        .log(JOB, "builder", "2027-01-15T08:00:00Z", "built");
    lab.world.kube.run(JOB);
    until("the breaks", || lab.world.kube_server.count("/log") >= 9);
    lab.world
        .kube
        .log(JOB, "runner", "2027-01-15T09:00:00Z", "the last");
    lab.world.kube.finish(JOB, 0, &report(0));
    lab.world.kube.end_logs(JOB);
    let ran = ran(child);
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
fn a_jobs_last_words_are_one_line_without_control_characters() {
    let lab = Lab::new();
    let child = waiting(&lab, &[]);
    let words = "\u{1b}]0;title\u{7}no\nrunner-b  completed  exit 0";
    lab.world.kube.run(JOB);
    lab.world.kube.finish(JOB, 9, words);
    let ran = ran(child);
    assert_eq!(ran.code, Some(9), "{ran:?}");
    assert_eq!(ran.stdout.lines().count(), 1, "{ran:?}");
    let controls = |text: &str| text.contains(|c: char| c.is_control() && c != '\n');
    assert!(!controls(&ran.stdout) && !controls(&ran.stderr), "{ran:?}");
}

#[test]
fn a_log_goes_to_a_file_as_it_is_and_to_a_terminal_without_control_characters() {
    let text = "\u{1b}[31mred\u{1b}[m \u{1b}]0;title\u{7}x";
    for (terminal, shown) in [(false, text), (true, "\u{1b}[31mred\u{1b}[m ]0;titlex")] {
        let lab = Lab::new();
        let mut command = lab.command(&crate::fixture::launch(&["--id", "a", "--logs"]));
        let pty = nix::pty::openpty(None, None).unwrap();
        if terminal {
            command.stdout(pty.slave.try_clone().unwrap());
        }
        let mut child = command.spawn().unwrap();
        drop((command, pty.slave));
        until("the start", || lab.world.kube.starts().len() == 1);
        lab.world
            .kube
            .log(JOB, "runner", "2027-01-15T08:00:00Z", text);
        lab.world.kube.run(JOB);
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
fn ctrl_c_in_the_midst_of_a_launch_that_does_not_wait_counts_too() {
    let lab = Lab::new();
    let (tell, told) = std::sync::mpsc::channel::<Child>();
    let (back, given_back) = std::sync::mpsc::channel();
    lab.world.kube_server.faults(move |request| {
        if request.line().contains("secrets") {
            if let Ok(child) = told.recv() {
                signal(&child, Signal::SIGINT);
                back.send(child).unwrap();
            }
        }
        None
    });
    tell.send(lab.spawn(&["--id", "a", "--cancel-on-interrupt"]))
        .unwrap();
    drop(tell);
    let ran = ran(given_back.recv().unwrap());
    assert_eq!(ran.code, Some(130), "{ran:?}");
    assert!(ran.stdout.contains("runner-a  cancelled"), "{ran:?}");
    assert!(lab.world.kube.list("jobs").is_empty() && lab.world.kube.list("secrets").is_empty());
}

#[test]
fn ctrl_c_leaves_the_job_alone_unless_told_otherwise() {
    let lab = Lab::new();
    let child = waiting(&lab, &[]);
    lab.world.kube.run(JOB);
    signal(&child, Signal::SIGINT);
    let detached = ran(child);
    assert_eq!(detached.code, Some(130), "{detached:?}");
    assert!(
        detached.stderr.contains("--id a follows it again"),
        "{detached:?}"
    );
    assert!(lab.job("a").is_some());
    let lab = Lab::new();
    let child = waiting(&lab, &["--cancel-on-interrupt"]);
    signal(&child, Signal::SIGINT);
    let cancelled = ran(child);
    assert_eq!(cancelled.code, Some(130), "{cancelled:?}");
    assert!(
        cancelled.stdout.contains("runner-a  cancelled"),
        "{cancelled:?}"
    );
    assert!(lab.world.kube.list("jobs").is_empty() && lab.world.kube.list("secrets").is_empty());
}
