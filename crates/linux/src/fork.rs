//! fork(2) without execve(2): a child in a tenth of the time, if this process has one thread only.
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

/// Returns whether this process has one thread only, so that a child of fork(2) finds no lock held.
fn single_threaded() -> bool {
    // The directory has a link for itself, one for its parent and one for each thread, proc_pid_task(5).
    std::fs::metadata("/proc/self/task").is_ok_and(|tasks| tasks.nlink() == 3)
}

/// Runs `work` in a child and returns the child's pid.
///
/// The child has `stdio` as its only descriptors. It exits with what `work` returns, or with the code of a defect if
/// `work` panics. The kernel kills it when this process ends.
///
/// # Errors
/// As fork(2); of kind `Unsupported` if there is more than one thread.
pub fn fork_and_run(stdio: [BorrowedFd; 3], work: impl FnOnce() -> u8) -> io::Result<Pid> {
    if !single_threaded() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    // The child would write the buffered text a second time.
    io::stdout().flush()?;
    let parent = getpid();
    // SAFETY: no other thread holds a lock, so the child may call any function.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            let code = if set_up_child(stdio) && bind_to_parent(parent) {
                catch_unwind(AssertUnwindSafe(work)).unwrap_or(exit::INTERNAL)
            } else {
                exit::INTERNAL
            };
            let _ = io::stdout().flush();
            // SAFETY: it does not return, and skips the parent's exit handlers.
            unsafe { libc::_exit(i32::from(code)) }
        }
    }
}

/// Starts `count` children at once, then kills and reaps them.
///
/// # Errors
/// As fork(2): `EAGAIN` if so many processes are not allowed.
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

/// Sets up the child as execve(2) would: descriptors, file system ids and signal mask.
fn set_up_child(stdio: [BorrowedFd; 3]) -> bool {
    let moved = stdio.iter().zip(0..).all(|(from, to)| {
        // SAFETY: dup2 takes numbers, and the descriptors are open.
        unsafe { libc::dup2(from.as_raw_fd(), to) == to }
    });
    close_inherited();
    Identity::effective().set_filesystem_ids();
    moved && SigSet::empty().thread_set_mask().is_ok()
}

/// Closes inherited descriptors. A child that holds the write end of a pipe prevents its reader from seeing the end.
fn close_inherited() {
    // SAFETY: no code uses a descriptor above 2 that it did not open after this.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
    if closed == 0 {
        return;
    }
    // Linux before 5.9 does not have the call.
    let (most, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    for fd in 3..i32::try_from(most.min(65_536)).unwrap_or(1024) {
        // SAFETY: as above.
        unsafe { libc::close(fd) };
    }
}

/// Makes the child end with its parent, and lets the parent open its files in `/proc`, as after an execve(2).
fn bind_to_parent(parent: Pid) -> bool {
    die_with_parent().is_ok() && getppid() == parent && prctl::set_dumpable(true).is_ok()
}
