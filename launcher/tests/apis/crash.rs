//! A launch that is killed at any step, and then the same command again: nothing lost, nothing doubled.

use crate::fakes::kube::{Course, report};
use crate::fakes::server::{Fault, Server};
use crate::fixture::{Lab, kill, until};

/// Holds the request of this number back, from when the servers are asked to.
fn hold(server: &Server, number: usize, fault: Fault) {
    let mut left = number;
    server.faults(move |_| {
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

fn killed_at(lab: &Lab, step: Step, fault: &Fault) {
    let (server, number) = match step {
        Step::Kube(number) => (&lab.world.kube_server, number),
        Step::Github(number) => (&lab.world.github_server, number),
    };
    let before = server.held();
    hold(server, number, fault.clone());
    let mut child = lab.spawn(&["--id", "a"]);
    until("the step", || server.held() > before);
    kill(&mut child);
    server.no_faults();
}

fn assert_one_job(lab: &Lab, what: &str) {
    let kube = &lab.world.kube;
    assert_eq!(kube.list("jobs").len(), 1, "{what}");
    assert_eq!(kube.list("secrets").len(), 1, "{what}");
    let starts = kube.starts();
    assert_eq!(starts.len(), 1, "{what}: {starts:?}");
    let runners = lab.world.github.runners();
    // The one that the pod was given, and no other.
    assert_eq!(runners.len(), 1, "{what}: {runners:?}");
    assert_eq!(starts[0].1, format!("jit-{}", runners[0].id), "{what}");
    assert_eq!(
        (runners[0].status, runners[0].busy),
        ("online", true),
        "{what}"
    );
}

#[test]
fn killed_at_any_step_the_same_command_again_makes_one_job() {
    let steps = [Step::Kube(1), Step::Github(1), Step::Kube(2), Step::Kube(3)];
    for step in steps {
        for fault in [Fault::HoldBefore, Fault::HoldAfter] {
            let lab = Lab::new();
            let what = format!("{step:?} {fault:?}");
            killed_at(&lab, step, &fault);
            let ran = lab.launch(&["--id", "a"]);
            assert_eq!(ran.code, Some(0), "{what}: {ran:?}");
            assert_one_job(&lab, &what);
            // And its end is the job's.
            lab.world.kube.finish("runner-a", 102, &report(102));
            let ended = lab.launch(&["--id", "a", "--wait"]);
            assert_eq!(ended.code, Some(102), "{what}: {ended:?}");
            assert!(lab.world.github.runners().is_empty(), "{what}");
        }
    }
}

#[test]
fn killed_again_while_it_takes_up_what_was_left_it_still_makes_one_job() {
    // First with the registration made and its answer lost; then at each request of the second attempt, which are:
    // the Job, the look for the Secret, the Secret, the start; the registration, the look for the runner, its removal, another.
    let steps = (1..=4).map(Step::Kube).chain((1..=4).map(Step::Github));
    for step in steps {
        for fault in [Fault::HoldBefore, Fault::HoldAfter] {
            let lab = Lab::new();
            let what = format!("{step:?} {fault:?}");
            killed_at(&lab, Step::Github(1), &Fault::HoldAfter);
            killed_at(&lab, step, &fault);
            let ran = lab.launch(&["--id", "a"]);
            assert_eq!(ran.code, Some(0), "{what}: {ran:?}");
            assert_one_job(&lab, &what);
        }
    }
}

#[test]
fn killed_while_it_waits_the_job_goes_on_and_is_found_again() {
    let lab = Lab::new();
    let mut child = lab.spawn(&["--id", "a", "--wait"]);
    until("the start", || lab.world.kube.starts().len() == 1);
    kill(&mut child);
    lab.world.kube.finish("runner-a", 7, &report(7));
    assert_eq!(lab.launch(&["--id", "a", "--wait"]).code, Some(7));
    assert_eq!(lab.world.kube.starts().len(), 1);
}

#[test]
fn a_secret_whose_runner_is_gone_is_replaced() {
    let lab = Lab::new();
    killed_at(&lab, Step::Kube(2), &Fault::HoldAfter);
    // A day later GitHub has dropped the runner that never came.
    lab.world.github.done("jit-1");
    lab.world.kube.course(Course::Ends(0));
    let ran = lab.launch(&["--id", "a", "--wait"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(
        lab.world.kube.starts(),
        [("runner-a".to_owned(), "jit-2".to_owned())]
    );
}
