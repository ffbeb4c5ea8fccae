//! Asking a trial, and telling its answer.

use std::time::Duration;

use nix::errno::Errno;

use linux::probe::{self, Probe, ProbeError, ProbeResult};
use linux::userns_probe;

/// A refused call.
pub(super) struct Refusal {
    pub(super) call: String,
    pub(super) errno: Errno,
}

impl Refusal {
    /// For people: the call and errno(3)'s name and text.
    pub(super) fn told(&self) -> String {
        match self.errno {
            Errno::UnknownErrno => self.call.clone(),
            errno => format!("{}: {}", self.call, told(errno)),
        }
    }
}

/// errno(3)'s name and text: `EPERM (Operation not permitted)`.
pub(super) fn told(errno: Errno) -> String {
    format!("{errno:?} ({})", errno.desc())
}

/// Runs a trial without arguments. The check's own limit is longer than this one.
pub(super) fn ask(name: &'static str, mapped: bool) -> Result<(), Refusal> {
    let probe = Probe {
        name,
        arguments: Vec::new(),
        forked: Some(|name, _| probe::print_result(userns_probe::run_in_child(name))),
        mapped,
        timeout: Duration::from_secs(4),
    };
    judge(probe.run())
}

/// The refusal in a trial's answer, if there is one.
pub(super) fn judge(answer: Result<ProbeResult, ProbeError>) -> Result<(), Refusal> {
    match answer {
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

/// A sysctl's number, if the kernel has it.
pub(super) fn sysctl(name: &str) -> Option<u64> {
    let path = format!("/proc/sys/{}", name.replace('.', "/"));
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}
