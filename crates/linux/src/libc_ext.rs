//! kill(2), waitpid(2), sigaction(2), fcntl(2) and ioctl_ns(2) through libc.
//!
//! nix has no names for real-time signals, loses the status of a child that such a signal ended, and needs owned
//! descriptors for fcntl(2). It has no ioctl_ns(2).
#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

/// Sends signal `number` to `target`, which may be a group or -1 as in kill(2). Number 0 only checks for existence.
///
/// # Errors
/// As kill(2).
pub fn kill(target: i32, number: i32) -> Result<(), Errno> {
    // SAFETY: kill takes two integers and touches no memory.
    Errno::result(unsafe { libc::kill(target, number) }).map(|_| ())
}

/// Returns the parent of a user namespace, ioctl_ns(2).
///
/// # Errors
/// `EPERM` if the parent lies outside of this process's own namespace.
pub fn parent_namespace(namespace: &impl AsFd) -> Result<OwnedFd, Errno> {
    // _IO(0xb7, 2), linux/nsfs.h
    const NS_GET_PARENT: u16 = 0xb702;
    let namespace = namespace.as_fd().as_raw_fd();
    // SAFETY: this request takes no argument and touches no memory.
    let parent = Errno::result(unsafe { libc::ioctl(namespace, NS_GET_PARENT.into()) })?;
    // SAFETY: the kernel has just made the descriptor, so it has no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(parent) })
}

/// Sets `FD_CLOEXEC`, so that no child inherits the descriptor.
///
/// # Errors
/// As fcntl(2).
pub(crate) fn close_on_exec(descriptor: i32) -> Result<(), Errno> {
    // SAFETY: F_SETFD takes integers and touches no memory; an invalid number gives EBADF.
    let set = unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
    Errno::result(set).map(|_| ())
}

/// A reaped child and its wait status.
#[derive(Debug, Clone, Copy)]
pub struct Reaped {
    /// The pid.
    pub pid: i32,
    /// The wait status, `wstatus` in waitpid(2).
    pub status: i32,
}

impl Reaped {
    /// Returns the exit code if the child called exit(3).
    #[must_use]
    pub fn exit_code(self) -> Option<u8> {
        libc::WIFEXITED(self.status)
            .then(|| u8::try_from(libc::WEXITSTATUS(self.status)).unwrap_or(u8::MAX))
    }

    /// Returns the number of the signal that ended it otherwise.
    #[must_use]
    pub fn signal(self) -> i32 {
        libc::WTERMSIG(self.status)
    }
}

/// Reaps one child of any kind that has ended. Returns `None` if all children still run.
///
/// # Errors
/// `ECHILD` if there is no child; else as waitpid(2).
pub fn reap_one() -> Result<Option<Reaped>, Errno> {
    waitpid(-1, libc::WNOHANG | libc::__WALL)
}

/// Reaps the child `pid` if it has ended, and returns its wait status.
///
/// # Errors
/// As waitpid(2).
pub fn reap(pid: Pid) -> Result<Option<i32>, Errno> {
    let reaped = waitpid(pid.as_raw(), libc::WNOHANG)?;
    Ok(reaped.map(|child| child.status))
}

/// Waits for the end of the child `pid`, and returns its wait status.
///
/// # Errors
/// As waitpid(2), without EINTR.
pub fn wait(pid: Pid) -> Result<i32, Errno> {
    loop {
        match waitpid(pid.as_raw(), 0) {
            Ok(Some(child)) => return Ok(child.status),
            Ok(None) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

fn waitpid(target: i32, options: i32) -> Result<Option<Reaped>, Errno> {
    let mut status = 0;
    // SAFETY: `status` lives until the call returns, and only the call writes it.
    let pid = unsafe { libc::waitpid(target, &raw mut status, options) };
    let pid = Errno::result(pid)?;
    Ok((pid != 0).then_some(Reaped { pid, status }))
}

/// Returns whether a signal has stopped the child `pid`. The status stays for a later call, waitid(2) `WNOWAIT`.
#[must_use]
pub fn is_stopped(pid: i32) -> bool {
    let id = nix::sys::wait::Id::Pid(Pid::from_raw(pid));
    let flags = WaitPidFlag::WSTOPPED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    matches!(waitid(id, flags), Ok(WaitStatus::Stopped(..)))
}

/// Gives signal `number` its default disposition. Async-signal-safe.
///
/// # Errors
/// `EINVAL` for SIGKILL, SIGSTOP, and the numbers that the C library reserves.
pub fn default_disposition(number: i32) -> Result<(), Errno> {
    // SAFETY: SIG_DFL installs no handler.
    let previous = unsafe { libc::signal(number, libc::SIG_DFL) };
    if previous == libc::SIG_ERR {
        Err(Errno::last())
    } else {
        Ok(())
    }
}

/// Returns whether signal `number` is blocked and pending, sigpending(2).
#[must_use]
pub(crate) fn is_pending(number: i32) -> bool {
    let mut set = std::mem::MaybeUninit::uninit();
    // SAFETY: if sigpending succeeds, it has filled the set that sigismember reads.
    unsafe {
        libc::sigpending(set.as_mut_ptr()) == 0 && libc::sigismember(set.as_ptr(), number) == 1
    }
}

/// Returns the highest signal number.
#[must_use]
pub fn last_signal() -> i32 {
    libc::SIGRTMAX()
}
