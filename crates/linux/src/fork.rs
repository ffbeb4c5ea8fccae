//! fork(2) without an execve(2): a child of our own in a tenth of the time, where we are a single thread.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::libc;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::signal::SigSet;
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid, pause};

use super::handshake::die_with_parent;
use super::libc_ext;
use super::process::Identity;
use report::exit;

/// Whether this process has one thread only, so that a child of fork(2) finds no lock held.
fn single_threaded() -> bool {
    // The links of a directory: itself, its parent, and one a thread, proc_pid_task(5).
    std::fs::metadata("/proc/self/task").is_ok_and(|tasks| tasks.nlink() == 3)
}

/// Runs `work` in a child that has `stdio` and nothing else open, and ends with what `work` returns, or with us.
///
/// # Errors
/// As fork(2); of kind `Unsupported` where there is more than one thread.
pub fn fork_and_run(stdio: [BorrowedFd; 3], work: impl FnOnce() -> u8) -> io::Result<Pid> {
    if !single_threaded() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    // What is buffered would be said twice.
    io::stdout().flush()?;
    let parent = getpid();
    // SAFETY: there is no other thread that might hold a lock, so the child may do whatever we may.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            let code = if set_up_child(stdio) && bind_to_parent(parent) {
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

/// Starts `count` children at once, and ends them.
///
/// # Errors
/// As fork(2): `EAGAIN` where there may not be so many.
pub fn fork_many(count: usize) -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    let mut children = Vec::with_capacity(count);
    let start = || {
        fork_and_run([null.as_fd(); 3], || {
            pause();
            0
        })
    };
    let started = (0..count).try_for_each(|_| start().map(|pid| children.push(pid)));
    for pid in &children {
        let _ = libc_ext::kill(pid.as_raw(), libc::SIGKILL);
        let _ = libc_ext::wait(*pid);
    }
    started
}

/// In the child: as after an execve(2).
fn set_up_child(stdio: [BorrowedFd; 3]) -> bool {
    let moved = stdio.iter().zip(0..).all(|(from, to)| {
        // SAFETY: dup2 takes numbers, and the descriptors are open.
        unsafe { libc::dup2(from.as_raw_fd(), to) == to }
    });
    close_inherited();
    Identity::effective().set_filesystem_ids();
    moved && SigSet::empty().thread_set_mask().is_ok()
}

/// The other end of a pipe of ours, held by ourselves, would never end.
fn close_inherited() {
    // SAFETY: nothing of ours uses a descriptor that it did not open after this.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
    if closed == 0 {
        return;
    }
    // Before Linux 5.9.
    let (most, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    for fd in 3..i32::try_from(most.min(65_536)).unwrap_or(1024) {
        // SAFETY: as above.
        unsafe { libc::close(fd) };
    }
}

/// Ends with the parent from here on, and is as open to it as after an execve(2): PID 1 hides itself.
fn bind_to_parent(parent: Pid) -> bool {
    die_with_parent().is_ok() && getppid() == parent && prctl::set_dumpable(true).is_ok()
}
