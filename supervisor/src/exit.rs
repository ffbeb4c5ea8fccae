//! Exit codes: the one place where an outcome becomes a number.
//!
//! The codes of our own follow `sysexits.h`; everything else is the runner's.

/// Wrong command line (`EX_USAGE`).
pub const USAGE: u8 = 64;
/// The runner did not reach its CI service (`EX_UNAVAILABLE`).
pub const UNAVAILABLE: u8 = 69;
/// Preflight found something that makes the job impossible (`EX_SOFTWARE`).
pub const PREFLIGHT: u8 = 70;
/// Storage for Buildah could not be set up (`EX_IOERR`).
pub const STORAGE: u8 = 74;
/// The job succeeded, but something remained in the workspace (`EX_TEMPFAIL`).
pub const WIPE: u8 = 75;
/// A secret is missing or unusable (`EX_NOPERM`).
pub const SECRETS: u8 = 77;
/// The configuration is wrong (`EX_CONFIG`).
pub const CONFIG: u8 = 78;
/// A defect of the supervisor itself: a step panicked (`EX_OSERR`).
pub const INTERNAL: u8 = 71;
/// The runner's program was found but could not be executed (POSIX shell, 2.8.2).
pub const CANNOT_EXECUTE: u8 = 126;
/// The runner's program was not found (POSIX shell, 2.8.2).
pub const NOT_FOUND: u8 = 127;

/// The code of a process that a signal ended: 128 + its number (POSIX shell, 2.8.2).
#[must_use]
pub fn of_signal(number: i32) -> u8 {
    u8::try_from(128 + number).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_becomes_128_plus_its_number() {
        assert_eq!(of_signal(15), 143);
        assert_eq!(of_signal(9), 137);
        assert_eq!(of_signal(64), 192);
    }
}
