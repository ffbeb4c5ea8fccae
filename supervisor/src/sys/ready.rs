//! Waiting for a descriptor, whatever limits a job has put on us.
//!
//! prlimit(2) lets every process of our user lower our `RLIMIT_NOFILE`, and poll(2) then refuses even one descriptor
//! (EINVAL). select(2) does not look at the limit, but knows the first 1,024 descriptors only.

use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::select::{FD_SETSIZE, FdSet, select};
use nix::sys::time::{TimeVal, TimeValLike};

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Something can be read.
    Read,
    /// Something can be written.
    Write,
}

/// Waits until `fd` is ready, at most until `end`; false where it is not. A signal's handler or a debugger may end
/// the wait early, as not ready.
///
/// # Errors
/// As poll(2) and select(2), less EINTR.
pub fn wait(fd: &impl AsFd, want: Want, end: Option<Instant>) -> Result<bool, Errno> {
    let left = end.map(|end| end.saturating_duration_since(Instant::now()));
    let ready = match by_poll(fd, want, left) {
        Err(Errno::EINVAL) => by_select(fd, want, left),
        other => other,
    };
    match ready {
        Err(Errno::EINTR) => Ok(false),
        other => other,
    }
}

fn by_poll(fd: &impl AsFd, want: Want, left: Option<Duration>) -> Result<bool, Errno> {
    let events = match want {
        Want::Read => PollFlags::POLLIN,
        Want::Write => PollFlags::POLLOUT,
    };
    // Rounded up: a wait that ends a moment too early would be repeated at once.
    let timeout = left.map_or(PollTimeout::NONE, |left| {
        let milliseconds = left.as_nanos().div_ceil(1_000_000);
        PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX)
    });
    Ok(poll(&mut [PollFd::new(fd.as_fd(), events)], timeout)? > 0)
}

fn by_select(fd: &impl AsFd, want: Want, left: Option<Duration>) -> Result<bool, Errno> {
    let fd = fd.as_fd();
    if usize::try_from(fd.as_raw_fd()).map_or(true, |number| number >= FD_SETSIZE) {
        return Err(Errno::EINVAL);
    }
    let mut set = FdSet::new();
    set.insert(fd);
    let mut timeout = left.map(|left| {
        let microseconds = left.as_nanos().div_ceil(1000);
        TimeVal::microseconds(i64::try_from(microseconds).unwrap_or(i64::MAX))
    });
    let (read, write) = match want {
        Want::Read => (Some(&mut set), None),
        Want::Write => (None, Some(&mut set)),
    };
    Ok(select(None, read, write, None, timeout.as_mut())? > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::{pipe, write};

    #[test]
    fn both_ways_tell_ready_from_not() {
        let (reader, writer) = pipe().unwrap();
        let moment = Some(Duration::from_millis(1));
        for way in [by_poll, by_select] {
            assert_eq!(way(&reader, Want::Read, moment), Ok(false));
            assert_eq!(way(&writer, Want::Write, None), Ok(true));
        }
        write(&writer, b"x").unwrap();
        for way in [by_poll, by_select] {
            assert_eq!(way(&reader, Want::Read, None), Ok(true));
        }
        let end = Some(Instant::now());
        assert_eq!(wait(&reader, Want::Read, end), Ok(true));
    }
}
