//! A worker that was seen: the process that runs the steps of the runner's job.

use std::os::fd::OwnedFd;
use std::time::Instant;

use linux::procfs::Process;

use super::reap::Ended;

/// A worker and its end.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) process: Process,
    /// Readable once the worker has ended. Linux before 5.3 has no such descriptor; then its end is noticed with the runner's.
    pub(crate) end: Option<OwnedFd>,
    /// When its end was noticed.
    pub(crate) over_since: Option<Instant>,
    /// How it ended, if its runner did not wait for it.
    pub(crate) ended: Option<Ended>,
}
