//! kill(2), waitpid(2), sigaction(2) and fcntl(2) by number: nix has no names for real-time signals, would lose the status
//! of a child that one of them ended, and takes no descriptors that nobody owns. And ioctl_ns(2), which nix has not.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

/// Sends signal `number` to what `target` means in kill(2). Number 0 only asks whether anyone is there.
///
/// # Errors
/// As kill(2).
pub fn kill(target: i32, number: i32) -> Result<(), Errno> {
    // SAFETY: kill takes two integers and touches no memory of ours.
    Errno::result(unsafe { libc::kill(target, number) }).map(|_| ())
}

/// The user namespace around another one, ioctl_ns(2).
///
/// # Errors
/// `EPERM` where that one lies outside of our own.
pub fn parent_namespace(namespace: &impl AsFd) -> Result<OwnedFd, Errno> {
    // _IO(0xb7, 2), linux/nsfs.h
    const NS_GET_PARENT: u16 = 0xb702;
    let namespace = namespace.as_fd().as_raw_fd();
    // SAFETY: this request takes no argument, and touches no memory of ours.
    let parent = Errno::result(unsafe { libc::ioctl(namespace, NS_GET_PARENT.into()) })?;
    // SAFETY: the descriptor was made for us just now, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(parent) })
}

/// Whoever is started from here on does not inherit this descriptor.
///
/// # Errors
/// As fcntl(2).
pub fn close_on_exec(descriptor: i32) -> Result<(), Errno> {
    // SAFETY: F_SETFD takes integers and touches no memory of ours; a number that is no descriptor is EBADF.
    let set = unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
    Errno::result(set).map(|_| ())
}

/// A child that was reaped, and its wait status.
#[derive(Debug, Clone, Copy)]
pub struct Reaped {
    /// Its pid.
    pub pid: i32,
    /// As `wstatus` in waitpid(2).
    pub status: i32,
}

impl Reaped {
    /// The exit code, if it called exit(3).
    #[must_use]
    pub fn exit_code(self) -> Option<u8> {
        libc::WIFEXITED(self.status)
            .then(|| u8::try_from(libc::WEXITSTATUS(self.status)).unwrap_or(u8::MAX))
    }

    /// The number of the signal that ended it otherwise.
    #[must_use]
    pub fn signal(self) -> i32 {
        libc::WTERMSIG(self.status)
    }
}

/// Reaps one child that has ended, of any kind; `None` while all still run.
///
/// # Errors
/// `ECHILD` where there is no child at all; else as waitpid(2).
pub fn reap_one() -> Result<Option<Reaped>, Errno> {
    waitpid(-1, libc::WNOHANG | libc::__WALL)
}

/// Reaps the child `pid` if it has ended: its wait status.
///
/// # Errors
/// As waitpid(2).
pub fn reap(pid: Pid) -> Result<Option<i32>, Errno> {
    let reaped = waitpid(pid.as_raw(), libc::WNOHANG)?;
    Ok(reaped.map(|child| child.status))
}

/// Waits for the end of the child `pid`: its wait status.
///
/// # Errors
/// As waitpid(2), less EINTR.
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
    // SAFETY: `status` lives until the call returns and is written by nobody else.
    let pid = unsafe { libc::waitpid(target, &raw mut status, options) };
    let pid = Errno::result(pid)?;
    Ok((pid != 0).then_some(Reaped { pid, status }))
}

/// Whether the child `pid` is stopped by a signal. It is asked again without an answer being used up.
#[must_use]
pub fn is_stopped(pid: i32) -> bool {
    let id = nix::sys::wait::Id::Pid(Pid::from_raw(pid));
    let flags = WaitPidFlag::WSTOPPED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    matches!(waitid(id, flags), Ok(WaitStatus::Stopped(..)))
}

/// Gives signal `number` its default disposition. Async-signal-safe.
///
/// # Errors
/// `EINVAL` for SIGKILL, SIGSTOP, and numbers that the C library keeps for itself.
pub fn default_disposition(number: i32) -> Result<(), Errno> {
    // SAFETY: SIG_DFL installs no code of ours.
    let previous = unsafe { libc::signal(number, libc::SIG_DFL) };
    if previous == libc::SIG_ERR {
        Err(Errno::last())
    } else {
        Ok(())
    }
}

/// Whether signal `number` is blocked and waits for us, sigpending(2).
#[must_use]
pub fn is_pending(number: i32) -> bool {
    let mut set = std::mem::MaybeUninit::uninit();
    // SAFETY: where it succeeds, sigpending has filled the set, which sigismember only reads.
    unsafe {
        libc::sigpending(set.as_mut_ptr()) == 0 && libc::sigismember(set.as_ptr(), number) == 1
    }
}

/// The highest signal number.
#[must_use]
pub fn last_signal() -> i32 {
    libc::SIGRTMAX()
}
