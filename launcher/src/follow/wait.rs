//! Waits for the end of one job, and reports its progress.

use std::time::Duration;

use tokio::sync::watch;

use super::View;
use super::outcome::{Outcome, RUNNER};
use super::problem::Problem;

/// How long to wait for the pod's termination message after the Job ended. The two watches are independent.
const TERMINATION_MESSAGE_TIMEOUT: Duration = Duration::from_secs(5);

/// A step on a job's way to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The Job is suspended: Kueue has no room for it yet.
    Queued,
    /// The runner's container is running.
    Running {
        /// The pod's name.
        pod: String,
        /// The node's name.
        node: String,
    },
    /// A problem keeps the job from running.
    Problem(Problem),
}

/// A job whose end cannot be awaited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WaitError {
    /// A problem that will not pass by itself keeps the job from running.
    #[error("{0}")]
    Permanent(Problem),
    /// The API server rejected the watch.
    #[error("{0}")]
    WatchRejected(String),
    /// The [`Follower`](super::Follower) was dropped.
    #[error("the watch has ended")]
    WatchEnded,
}

/// Waits for a job's end. Calls `on_progress` for each step.
///
/// # Errors
/// If the job can never start, or if the watch has ended.
pub async fn end(
    mut job: watch::Receiver<View>,
    mut on_progress: impl FnMut(Progress),
) -> Result<Outcome, WaitError> {
    let mut reported = Reported::default();
    loop {
        let view = job.borrow_and_update().clone();
        for progress in reported.take_new(&view) {
            on_progress(progress);
        }
        if let Some(outcome) = view.outcome() {
            return Ok(outcome);
        }
        if let Some(error) = view.watch_error {
            return Err(WaitError::WatchRejected(error));
        }
        if let Some(problem) = view.problems.iter().find(|problem| problem.permanent) {
            return Err(WaitError::Permanent(problem.clone()));
        }
        let changed = match view.outcome_without_pod() {
            None => job.changed().await,
            Some(outcome) => {
                match tokio::time::timeout(TERMINATION_MESSAGE_TIMEOUT, job.changed()).await {
                    Ok(changed) => changed,
                    Err(_) => return Ok(outcome),
                }
            }
        };
        changed.map_err(|_| WaitError::WatchEnded)?;
    }
}

/// The steps that were reported already.
#[derive(Default)]
struct Reported {
    queued: bool,
    running: bool,
    problems: usize,
}

impl Reported {
    fn take_new(&mut self, view: &View) -> Vec<Progress> {
        let mut new = Vec::new();
        let suspended = view.job.as_ref().is_some_and(|job| job.suspended);
        if suspended && !self.queued {
            self.queued = true;
            new.push(Progress::Queued);
        }
        let pod = view.pod.as_ref();
        let running = pod
            .and_then(|pod| pod.container(RUNNER))
            .is_some_and(|runner| runner.running);
        if let Some(pod) = pod.filter(|_| running && !self.running) {
            self.running = true;
            new.push(Progress::Running {
                pod: pod.name.clone(),
                node: pod.node.clone().unwrap_or_default(),
            });
        }
        let problems = view.problems.iter().skip(self.problems).cloned();
        new.extend(problems.map(Progress::Problem));
        self.problems = view.problems.len();
        new
    }
}
