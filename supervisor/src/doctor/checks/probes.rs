//! Runs probes and describes their results.

use std::time::Duration;

use nix::errno::Errno;

use linux::probe::{self, Probe, ProbeError, ProbeResult};
use linux::userns_probe;

/// A system call that the kernel or a filter refused.
pub(super) struct Refusal {
    pub(super) call: String,
    pub(super) errno: Errno,
}

impl Refusal {
    /// The call, and errno(3)'s name and text.
    pub(super) fn text(&self) -> String {
        match self.errno {
            Errno::UnknownErrno => self.call.clone(),
            errno => format!("{}: {}", self.call, errno_text(errno)),
        }
    }
}

/// Returns errno(3)'s name and text: `EPERM (Operation not permitted)`.
pub(super) fn errno_text(errno: Errno) -> String {
    format!("{errno:?} ({})", errno.desc())
}

/// Runs a probe without arguments. Its limit is shorter than the timeout of a check.
pub(super) fn probe(name: &'static str, mapped: bool) -> Result<(), Refusal> {
    let probe = Probe {
        name,
        arguments: Vec::new(),
        forked: Some(|name, _| probe::print_result(userns_probe::run_in_child(name))),
        mapped,
        timeout: Duration::from_secs(4),
    };
    refusal(probe.run())
}

/// Returns the refusal in a probe's result as the error.
pub(super) fn refusal(result: Result<ProbeResult, ProbeError>) -> Result<(), Refusal> {
    match result {
        Ok(ProbeResult::Works) => Ok(()),
        Ok(ProbeResult::Refused { call, errno }) => Err(Refusal {
            call,
            errno: Errno::from_raw(errno),
        }),
        Err(error) => Err(Refusal {
            call: error.to_string(),
            errno: Errno::UnknownErrno,
        }),
    }
}

/// Returns a sysctl's number, if the kernel has it.
pub(super) fn sysctl(name: &str) -> Option<u64> {
    let path = format!("/proc/sys/{}", name.replace('.', "/"));
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}
