//! Error numbers, errno(3), in the types of the crates that return them.

use nix::errno::Errno;

/// An error that has a number of errno(3).
pub trait RawErrno {
    /// Returns the number, or 0 if the error does not come from the kernel.
    fn raw_errno(&self) -> i32;
}

impl RawErrno for i32 {
    fn raw_errno(&self) -> i32 {
        *self
    }
}

impl RawErrno for Errno {
    fn raw_errno(&self) -> i32 {
        *self as i32
    }
}

impl RawErrno for rustix::io::Errno {
    fn raw_errno(&self) -> i32 {
        self.raw_os_error()
    }
}

impl RawErrno for std::io::Error {
    fn raw_errno(&self) -> i32 {
        self.raw_os_error().unwrap_or(0)
    }
}

/// Returns the error as nix has it; `UnknownErrno` stands for 0.
#[must_use]
pub fn to_nix(error: &impl RawErrno) -> Errno {
    Errno::from_raw(error.raw_errno())
}

/// Returns the name of an error as errno(3) lists it, `EPERM` for example.
#[must_use]
#[allow(
    clippy::needless_pass_by_value,
    reason = "a number, passed on by Option::map"
)]
pub fn name_of(errno: impl RawErrno) -> String {
    format!("{:?}", to_nix(&errno))
}
