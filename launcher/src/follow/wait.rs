//! Waiting for one job's end, and telling what happens on the way.

use std::time::Duration;

use tokio::sync::watch;

use super::View;
use super::outcome::{Outcome, RUNNER};
use super::problem::Trouble;

/// How long after a Job's end its pod's last words are waited for: the two are watched apart.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What happened on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The Job waits to be started: Kueue has no room for it yet.
    Queued,
    /// The runner runs.
    Running {
        /// Its pod.
        pod: String,
        /// The pod's node.
        node: String,
    },
    /// Something stands in the way.
    Trouble(Trouble),
}

/// Why nothing is known of a job's end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WaitError {
    /// Something stands in the way that will not pass by itself.
    #[error("{0}")]
    Lasting(Trouble),
    /// The watch was refused.
    #[error("{0}")]
    Broken(String),
    /// The follower is gone.
    #[error("the watch has ended")]
    Ended,
}

/// Waits for a job's end.
///
/// # Errors
/// Where it can never come, or nothing will be heard of it.
pub async fn end(
    mut job: watch::Receiver<View>,
    mut tell: impl FnMut(Progress),
) -> Result<Outcome, WaitError> {
    let mut told = Told::default();
    loop {
        let view = job.borrow_and_update().clone();
        for progress in told.news(&view) {
            tell(progress);
        }
        if let Some(outcome) = view.outcome() {
            return Ok(outcome);
        }
        if let Some(why) = view.broken {
            return Err(WaitError::Broken(why));
        }
        if let Some(lasting) = view.troubles.iter().find(|trouble| trouble.lasting) {
            return Err(WaitError::Lasting(lasting.clone()));
        }
        let changed = match view.outcome_without_pod() {
            None => job.changed().await,
            Some(outcome) => match tokio::time::timeout(LAST_WORDS, job.changed()).await {
                Ok(changed) => changed,
                Err(_) => return Ok(outcome),
            },
        };
        changed.map_err(|_| WaitError::Ended)?;
    }
}

/// What was told already.
#[derive(Default)]
struct Told {
    queued: bool,
    running: bool,
    troubles: usize,
}

impl Told {
    fn news(&mut self, view: &View) -> Vec<Progress> {
        let mut news = Vec::new();
        let suspended = view.job.as_ref().is_some_and(|job| job.suspended);
        if suspended && !self.queued {
            self.queued = true;
            news.push(Progress::Queued);
        }
        let pod = view.pod.as_ref();
        let runs = pod
            .and_then(|pod| pod.container(RUNNER))
            .is_some_and(|runner| runner.running);
        if let Some(pod) = pod.filter(|_| runs && !self.running) {
            self.running = true;
            news.push(Progress::Running {
                pod: pod.name.clone(),
                node: pod.node.clone().unwrap_or_default(),
            });
        }
        let troubles = view.troubles.iter().skip(self.troubles).cloned();
        news.extend(troubles.map(Progress::Trouble));
        self.troubles = view.troubles.len();
        news
    }
}
