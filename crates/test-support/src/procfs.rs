//! What procfs says of a process, proc(5).

use std::fs;

use nix::unistd::Pid;

/// Returns the children of a process; none if it has ended.
#[must_use]
pub fn children(pid: Pid) -> Vec<Pid> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace()
        .map(|pid| Pid::from_raw(pid.parse().unwrap()))
        .collect()
}

/// Returns a field of `/proc/PID/status`, or `None` if the process or the field does not exist.
#[must_use]
pub fn status_field(pid: Pid, field: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find(|line| line.starts_with(field))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
