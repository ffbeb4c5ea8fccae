//! The time slice of a thread, sched_setattr(2).
#![allow(unsafe_code)]

use std::time::Duration;

use nix::errno::Errno;
use nix::libc;

/// `struct sched_attr` in sched_setattr(2), as of its first version.
#[repr(C)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// Asks for a shorter time slice of this thread, which needs no right. A thread with a short slice is chosen sooner when it
/// wakes. Linux before 6.12 ignores it.
///
/// # Errors
/// As sched_setattr(2).
pub fn shorten_slice(slice: Duration) -> Result<(), Errno> {
    const SIZE: usize = std::mem::size_of::<Attributes>();
    let attributes = Attributes {
        size: u32::try_from(SIZE).unwrap_or(0),
        policy: 0,
        flags: 0,
        nice: nice(),
        priority: 0,
        runtime: u64::try_from(slice.as_nanos()).unwrap_or(u64::MAX),
        deadline: 0,
        period: 0,
    };
    // SAFETY: the kernel reads `size` bytes of a structure that lives until the call returns, and writes only its size.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    Errno::result(result).map(|_| ())
}

/// The nice value of this thread.
fn nice() -> i32 {
    // SAFETY: getpriority(2) touches no memory.
    unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slice_can_be_shortened_without_a_right() {
        let before = nice();
        assert_eq!(shorten_slice(Duration::from_micros(100)), Ok(()));
        assert_eq!(nice(), before);
    }
}
