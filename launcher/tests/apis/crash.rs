//! A launch that is killed at any step, followed by the same command: one job runs in the end.

use fake_apis::kube::{PodBehavior, report};
use fake_apis::server::{Fault, Server};
use test_support::eventually;

use crate::fixture::{Fixture, kill};

/// Holds back the request of this number, counted from now.
fn hold(server: &Server, number: usize, fault: Fault) {
    let mut left = number;
    server.set_faults(move |_| {
        left = left.checked_sub(1)?;
        (left == 0).then(|| fault.clone())
    });
}

/// The requests of a launch in order: the Job, the registration, the Secret, the start.
#[derive(Debug, Clone, Copy)]
enum Step {
    Kube(usize),
    Github(usize),
}

fn killed_at(fixture: &Fixture, step: Step, fault: &Fault) {
    let (server, number) = match step {
        Step::Kube(number) => (&fixture.apis.kube_server, number),
        Step::Github(number) => (&fixture.apis.github_server, number),
    };
    let before = server.held();
    hold(server, number, fault.clone());
    let mut child = fixture.spawn(&["--id", "a"]);
    eventually("the step", || server.held() > before);
    kill(&mut child);
    server.clear_faults();
}

fn assert_one_job(fixture: &Fixture, what: &str) {
    let kube = &fixture.apis.kube;
    assert_eq!(kube.list("jobs").len(), 1, "{what}");
    assert_eq!(kube.list("secrets").len(), 1, "{what}");
    let starts = kube.starts();
    assert_eq!(starts.len(), 1, "{what}: {starts:?}");
    let runners = fixture.apis.github.runners();
    // The only runner is the one whose configuration the pod got.
    assert_eq!(runners.len(), 1, "{what}: {runners:?}");
    assert_eq!(starts[0].1, format!("jit-{}", runners[0].id), "{what}");
    assert_eq!(
        (runners[0].status, runners[0].busy),
        ("online", true),
        "{what}"
    );
}

#[test]
fn a_launch_killed_at_any_step_can_be_repeated() {
    let steps = [Step::Kube(1), Step::Github(1), Step::Kube(2), Step::Kube(3)];
    for step in steps {
        for fault in [Fault::HoldBefore, Fault::HoldAfter] {
            let fixture = Fixture::new();
            let what = format!("{step:?} {fault:?}");
            killed_at(&fixture, step, &fault);
            let ran = fixture.launch(&["--id", "a"]);
            assert_eq!(ran.code, Some(0), "{what}: {ran:?}");
            assert_one_job(&fixture, &what);
            // The next command reports the job's end.
            fixture.apis.kube.finish("runner-a", 102, &report(102));
            let ended = fixture.launch(&["--id", "a", "--wait"]);
            assert_eq!(ended.code, Some(102), "{what}: {ended:?}");
            assert!(fixture.apis.github.runners().is_empty(), "{what}");
        }
    }
}

#[test]
fn a_launch_killed_twice_can_be_repeated() {
    // The first launch is killed after its registration. The second is killed at each of its requests. To Kubernetes: the
    // Job, a search for the Secret, the Secret, the start. To GitHub: a registration, a search for the runner, its removal,
    // another registration.
    let steps = (1..=4).map(Step::Kube).chain((1..=4).map(Step::Github));
    for step in steps {
        for fault in [Fault::HoldBefore, Fault::HoldAfter] {
            let fixture = Fixture::new();
            let what = format!("{step:?} {fault:?}");
            killed_at(&fixture, Step::Github(1), &Fault::HoldAfter);
            killed_at(&fixture, step, &fault);
            let ran = fixture.launch(&["--id", "a"]);
            assert_eq!(ran.code, Some(0), "{what}: {ran:?}");
            assert_one_job(&fixture, &what);
        }
    }
}

#[test]
fn a_job_continues_if_its_launcher_is_killed() {
    let fixture = Fixture::new();
    let mut child = fixture.spawn(&["--id", "a", "--wait"]);
    eventually("the start", || fixture.apis.kube.starts().len() == 1);
    kill(&mut child);
    fixture.apis.kube.finish("runner-a", 7, &report(7));
    assert_eq!(fixture.launch(&["--id", "a", "--wait"]).code, Some(7));
    assert_eq!(fixture.apis.kube.starts().len(), 1);
}

#[test]
fn a_secret_of_a_removed_runner_is_replaced() {
    let fixture = Fixture::new();
    killed_at(&fixture, Step::Kube(2), &Fault::HoldAfter);
    // After a day GitHub removes a runner that did not connect.
    fixture.apis.github.finish_job("jit-1");
    fixture.apis.kube.set_pod_behavior(PodBehavior::Exits(0));
    let ran = fixture.launch(&["--id", "a", "--wait"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(
        fixture.apis.kube.starts(),
        [("runner-a".to_owned(), "jit-2".to_owned())]
    );
}
