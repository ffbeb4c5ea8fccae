//! Asking a trial, and telling its answer.

use std::time::Duration;

use nix::errno::Errno;

use linux::rooms;
use linux::trial::{self, Trial, TrialError, Verdict};

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
    let trial = Trial {
        name,
        arguments: Vec::new(),
        inside: Some(|name, _| trial::conclude(rooms::child(name))),
        mapped,
        limit: Duration::from_secs(4),
    };
    judge(trial.run())
}

/// The refusal in a trial's answer, if there is one.
pub(super) fn judge(answer: Result<Verdict, TrialError>) -> Result<(), Refusal> {
    match answer {
        Ok(Verdict::Works) => Ok(()),
        Ok(Verdict::Refused { call, errno }) => Err(Refusal {
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
