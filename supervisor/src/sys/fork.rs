//! fork(2) without an execve(2): a child of our own in a tenth of the time, where we are a single thread.
#![allow(unsafe_code)]

use std::io::{self, Write};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::libc;
use nix::sys::signal::SigSet;
use nix::unistd::{ForkResult, Pid, fork};

use crate::exit;

/// Whether this process has one thread only, so that a child of fork(2) finds no lock held.
#[must_use]
pub fn single_threaded() -> bool {
    std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() == 1)
}

/// Runs `work` in a child that has `stdio` and ends with what `work` returns.
///
/// # Errors
/// As fork(2); of kind `Unsupported` where there is more than one thread.
pub fn child(stdio: [BorrowedFd; 3], work: impl FnOnce() -> u8) -> io::Result<Pid> {
    if !single_threaded() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    // What is buffered would be said twice.
    io::stdout().flush()?;
    // SAFETY: there is no other thread that might hold a lock, so the child may do whatever we may.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            let code = if take(stdio) {
                catch_unwind(AssertUnwindSafe(work)).unwrap_or(exit::INTERNAL)
            } else {
                exit::INTERNAL
            };
            let _ = io::stdout().flush();
            // SAFETY: it does not return; the parent's exit handlers are not ours to run.
            unsafe { libc::_exit(i32::from(code)) }
        }
    }
}

/// In the child: as after an execve(2), but for what is open.
fn take(stdio: [BorrowedFd; 3]) -> bool {
    let moved = stdio.iter().zip(0..).all(|(from, to)| {
        // SAFETY: dup2 takes numbers, and the descriptors are open.
        unsafe { libc::dup2(from.as_raw_fd(), to) == to }
    });
    moved && SigSet::empty().thread_set_mask().is_ok()
}
