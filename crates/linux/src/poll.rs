//! Waits for descriptors even if a job has changed our limits.
//!
//! With prlimit(2) every process of our user can lower our `RLIMIT_NOFILE`. Then poll(2) refuses even one descriptor
//! (EINVAL). select(2) ignores the limit, but supports the first 1,024 descriptors only.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::select::{FD_SETSIZE, FdSet, select};
use nix::sys::time::{TimeVal, TimeValLike};

/// The event to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Data can be read.
    Read,
    /// Data can be written.
    Write,
}

/// Waits until `fd` is ready or `end` has come, and returns whether it is ready.
///
/// A signal handler or a debugger may end the wait early; the result is false then.
///
/// # Errors
/// As poll(2) and select(2), without EINTR.
pub fn wait(fd: &impl AsFd, interest: Interest, end: Option<Instant>) -> Result<bool, Errno> {
    wait_any(&[fd.as_fd()], interest, end).map(|ready| ready.contains(&true))
}

/// Waits until `fd` is ready. A signal does not end the wait early.
///
/// # Errors
/// `TimedOut` at `end`; else as [`wait`].
pub(crate) fn wait_until(fd: &impl AsFd, interest: Interest, end: Instant) -> io::Result<()> {
    while !wait(fd, interest, Some(end))? {
        if Instant::now() >= end {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
    Ok(())
}

/// Waits for several descriptors as [`wait`] does, and returns for each whether it is ready.
///
/// # Errors
/// As poll(2) and select(2), without EINTR.
pub fn wait_any(
    fds: &[BorrowedFd<'_>],
    interest: Interest,
    end: Option<Instant>,
) -> Result<Vec<bool>, Errno> {
    let left = end.map(|end| end.saturating_duration_since(Instant::now()));
    let ready = match by_poll(fds, interest, left) {
        Err(Errno::EINVAL) => by_select(fds, interest, left),
        other => other,
    };
    match ready {
        Err(Errno::EINTR) => Ok(vec![false; fds.len()]),
        other => other,
    }
}

fn by_poll(
    fds: &[BorrowedFd<'_>],
    interest: Interest,
    left: Option<Duration>,
) -> Result<Vec<bool>, Errno> {
    let events = match interest {
        Interest::Read => PollFlags::POLLIN,
        Interest::Write => PollFlags::POLLOUT,
    };
    // Rounded up, because a wait that ends too early is repeated at once.
    let timeout = left.map_or(PollTimeout::NONE, |left| {
        let milliseconds = left.as_nanos().div_ceil(1_000_000);
        PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX)
    });
    let mut polled: Vec<PollFd> = fds.iter().map(|fd| PollFd::new(*fd, events)).collect();
    poll(&mut polled, timeout)?;
    let ready = polled.iter().map(|fd| fd.any().unwrap_or(false));
    Ok(ready.collect())
}

fn by_select(
    fds: &[BorrowedFd<'_>],
    interest: Interest,
    left: Option<Duration>,
) -> Result<Vec<bool>, Errno> {
    let beyond = |fd: &BorrowedFd| usize::try_from(fd.as_raw_fd()).is_ok_and(|n| n >= FD_SETSIZE);
    if fds.iter().any(beyond) {
        return Err(Errno::EINVAL);
    }
    let mut set = FdSet::new();
    fds.iter().for_each(|fd| set.insert(*fd));
    let mut timeout = left.map(|left| {
        let microseconds = left.as_nanos().div_ceil(1000);
        TimeVal::microseconds(i64::try_from(microseconds).unwrap_or(i64::MAX))
    });
    let (read, write) = match interest {
        Interest::Read => (Some(&mut set), None),
        Interest::Write => (None, Some(&mut set)),
    };
    select(None, read, write, None, timeout.as_mut())?;
    Ok(fds.iter().map(|fd| set.contains(*fd)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::{pipe, write};

    #[test]
    fn poll_and_select_agree_on_readiness() {
        let (reader, writer) = pipe().unwrap();
        let moment = Some(Duration::from_millis(1));
        let (reader, writer) = (&reader.as_fd(), &writer.as_fd());
        for way in [by_poll, by_select] {
            assert_eq!(way(&[*reader], Interest::Read, moment), Ok(vec![false]));
            assert_eq!(way(&[*writer], Interest::Write, None), Ok(vec![true]));
        }
        write(writer, b"x").unwrap();
        for way in [by_poll, by_select] {
            assert_eq!(
                way(&[*writer, *reader], Interest::Read, None),
                Ok(vec![false, true])
            );
        }
        let end = Some(Instant::now());
        assert_eq!(wait(reader, Interest::Read, end), Ok(true));
    }
}
