//! Whether the runner has a job: its listener then has a process `Runner.Worker`.
//!
//! Source: actions/runner, `JobDispatcher.cs`: the worker is started for a job and ends after its logs are sent.

use linux::procfs;

/// The name in procfs, which has at most 15 characters.
pub(super) const COMM: &str = "Runner.Worker";

pub(super) fn is_running() -> bool {
    let mut pids = procfs::pids().into_iter().flatten();
    pids.any(|pid| procfs::stat(pid).is_some_and(|stat| stat.name == COMM))
}
