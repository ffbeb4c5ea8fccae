//! Whether the runner is doing a job: its listener has a process `Runner.Worker` for that.
//!
//! Source: actions/runner, `JobDispatcher.cs`: the worker is started for a job and ends after its logs are sent.

use linux::procfs;

/// The name as procfs shows it, at most 15 characters.
const COMM: &str = "Runner.Worker";

pub(super) fn is_running() -> bool {
    let mut pids = procfs::pids().into_iter().flatten();
    pids.any(|pid| procfs::stat(pid).is_some_and(|stat| stat.name == COMM))
}
