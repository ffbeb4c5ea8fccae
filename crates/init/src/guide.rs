//! What the watch over a runner cannot know by itself: whether a job is under way, and that something happened.

use std::os::fd::BorrowedFd;

/// A runner's flavor, as the watch sees it.
pub trait Guide {
    /// Become readable when there is something to look at.
    fn events(&self) -> Vec<BorrowedFd<'_>> {
        Vec::new()
    }

    /// Looks at it. Must empty what made one of [`Guide::events`] readable.
    fn look(&mut self) {}

    /// Whether the first act is silence while a job is under way, since the runner's answer to any signal is to cancel it.
    fn drains(&self) -> bool {
        false
    }

    /// Whether a job is under way.
    fn busy(&mut self) -> bool {
        false
    }
}
