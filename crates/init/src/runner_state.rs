//! What the watch over a runner cannot know by itself: whether a job is under way, and that something happened.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use super::terminate::Cause;

/// The process that runs the steps of a runner's job.
#[derive(Debug, Clone, Copy)]
pub struct Worker {
    /// Its name, proc_pid_comm(5); it is a child of the runner.
    pub name: &'static str,
    /// How long a step has between SIGTERM and SIGKILL.
    pub step_grace: Duration,
}

/// A runner's flavor, as the watch sees it.
pub trait RunnerState {
    /// Become readable when there is something to look at.
    fn events(&self) -> Vec<BorrowedFd<'_>> {
        Vec::new()
    }

    /// Looks at it. Must empty what made one of [`RunnerState::events`] readable.
    fn look(&mut self) {}

    /// The worker of a runner that takes a job of its own and whose answer to any signal is to cancel it. Such a job is
    /// let go on for a while, and then ended a step at a time.
    fn worker(&self) -> Option<Worker> {
        None
    }

    /// Whether a job is under way.
    fn busy(&mut self) -> bool {
        false
    }

    /// The job is about to be ended for this cause, which came at `since`. Called before each phase that ends something.
    fn ending(&mut self, _cause: Cause, _since: Instant) {}

    /// When a runner that does not reach its CI service is waited for no longer.
    fn unreachable_at(&self) -> Option<Instant> {
        None
    }

    /// Whether the steps of that job are done, and the runner is only reporting it.
    fn reports(&mut self) -> bool {
        false
    }
}
