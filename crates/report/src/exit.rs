//! Exit codes of the supervisor.
//!
//! The codes of the supervisor itself follow `sysexits.h`. Every other code is the runner's. `docs/exit-codes.md` lists
//! them.

/// The command line is wrong (`EX_USAGE`).
pub const USAGE: u8 = 64;
/// The runner did not reach its CI service (`EX_UNAVAILABLE`).
pub const UNAVAILABLE: u8 = 69;
/// The preflight found a problem that makes the job impossible (`EX_SOFTWARE`).
pub const PREFLIGHT: u8 = 70;
/// The storage of Buildah could not be set up (`EX_IOERR`).
pub const STORAGE: u8 = 74;
/// The job succeeded, but leftovers remain in the workspace (`EX_TEMPFAIL`).
pub const WIPE: u8 = 75;
/// A secret is missing or unusable (`EX_NOPERM`).
pub const SECRETS: u8 = 77;
/// The configuration is wrong (`EX_CONFIG`).
pub const CONFIG: u8 = 78;
/// The supervisor has a defect: a step panicked (`EX_OSERR`).
pub const INTERNAL: u8 = 71;
/// The runner's program exists and could not be executed (POSIX shell, 2.8.2).
pub const CANNOT_EXECUTE: u8 = 126;
/// The runner's program does not exist (POSIX shell, 2.8.2).
pub const NOT_FOUND: u8 = 127;

/// Returns the code of a process that a signal ended: 128 plus the signal's number (POSIX shell, 2.8.2).
#[must_use]
pub fn from_signal(number: i32) -> u8 {
    u8::try_from(128 + number).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_signal_adds_128() {
        assert_eq!(from_signal(15), 143);
        assert_eq!(from_signal(9), 137);
        assert_eq!(from_signal(64), 192);
    }
}
