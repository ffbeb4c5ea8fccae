//! Whether the runner is doing a job: its listener has a process `Runner.Worker` for that.
//!
//! Source: actions/runner, `JobDispatcher.cs`: the worker is started for a job and ends after its logs are sent.

/// The name as `/proc/PID/comm` shows it, at most 15 characters.
pub(super) const COMM: &str = "Runner.Worker";

pub(super) fn is_running() -> bool {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return false;
    };
    entries.flatten().any(|entry| {
        // One that ended meanwhile has no file to read.
        let comm = std::fs::read_to_string(entry.path().join("comm"));
        comm.is_ok_and(|comm| comm.trim_end() == COMM)
    })
}
