//! What parent and child of a trial say to each other, and that the child does not outlive the parent.

use nix::errno::Errno;
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

/// What the child says once it is in its namespace.
pub const READY: &str = "ready\n";
/// What the parent answers once the ids are mapped.
pub const GO: &[u8] = b"go\n";

/// What a trial's child says on its stdout, as one line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProbeResult {
    /// It works.
    Works,
    /// The kernel refused.
    Refused {
        /// The system call or program, with what it was asked.
        call: String,
        /// errno(3), 0 if there is none.
        errno: i32,
    },
}

impl ProbeResult {
    /// The verdict on a refused call.
    #[must_use]
    pub fn refused(call: impl Into<String>, errno: Errno) -> Self {
        Self::Refused {
            call: call.into(),
            errno: errno as i32,
        }
    }
}

/// Ends this process when its parent ends, prctl(2) `PR_SET_PDEATHSIG`.
///
/// A change of credentials clears the setting, so it is set after it.
///
/// # Errors
/// As prctl(2).
pub fn die_with_parent() -> Result<(), Errno> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)
}
