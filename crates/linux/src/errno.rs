//! Errors by the names that errno(3) lists.

use rustix::io::Errno;

/// The name of an error, as errno(3) lists it.
#[must_use]
pub fn name_of(errno: Errno) -> String {
    format!("{:?}", nix::errno::Errno::from_raw(errno.raw_os_error()))
}
