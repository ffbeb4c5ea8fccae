//! Follows jobs: one watch of Jobs, pods and events serves all jobs of a namespace.
//!
//! | module | |
//! |---|---|
//! | [`Follower`] | starts the watch, and hands out a [`View`] of each job |
//! | [`problem`] | what keeps a job from running, and the remedy |
//! | [`outcome`] | how a job ended, and its supervisor's report |
//! | [`wait`] | waits for the end of one job |
//! | [`logs`] | streams a container's log |

pub mod logs;
pub mod outcome;
pub mod problem;
mod state;
mod view;
pub mod wait;
mod watcher;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::create::Cluster;
pub use state::{Container, JobState, PodState, Termination};
pub use view::View;
use view::Views;

/// The watch that all jobs of a namespace share. It ends when this value is dropped.
pub struct Follower {
    views: Views,
    task: JoinHandle<()>,
}

impl Follower {
    /// Starts the watch as a task of the current tokio runtime.
    #[must_use]
    pub fn start(cluster: &Cluster) -> Self {
        let views = Views::default();
        let task = tokio::spawn(watcher::watch(cluster.clone(), views.clone()));
        Self { views, task }
    }

    /// Returns the view of a Job, which changes as the watch proceeds. If this is called before the launch, it misses no
    /// event.
    ///
    /// ```no_run
    /// # async fn example(cluster: launcher::create::Cluster) {
    /// let follower = launcher::follow::Follower::start(&cluster);
    /// let mut job = follower.job("runner-build-4711");
    /// while job.borrow_and_update().outcome().is_none() {
    ///     if job.changed().await.is_err() {
    ///         break;
    ///     }
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn job(&self, name: &str) -> watch::Receiver<View> {
        self.views.subscribe(name)
    }

    /// Records that a Job was created. If a later list lacks it, the Job was deleted before the watch had seen it.
    pub fn launched(&self, name: &str) {
        self.views.change(name, View::set_launched);
    }

    /// Drops the view of a Job.
    pub fn forget(&self, name: &str) {
        self.views.remove(name);
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}
