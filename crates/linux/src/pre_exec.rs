//! Code of a child between fork(2) and execve(2). It makes async-signal-safe calls only, signal-safety(7).
#![allow(unsafe_code)]

use std::io::{self, stdin};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::libc;
use nix::sys::signal::SigSet;
use nix::unistd::{getpid, tcsetpgrp};

/// Makes the process group of `command` the foreground of the terminal that is its stdin, and empties its signal mask.
///
/// The command must be the leader of its group.
pub fn take_foreground(command: &mut Command) {
    // SAFETY: the function calls signal, tcsetpgrp, getpid and sigprocmask only, and allocates nothing.
    unsafe { command.pre_exec(take_terminal) };
}

/// Runs in the child, which is the leader of its group.
fn take_terminal() -> io::Result<()> {
    // The group is still in the background here. tcsetpgrp raises SIGTTOU there unless the signal is blocked, as it is.
    // The terminal may have gone; then the runner starts without one.
    let _ = tcsetpgrp(stdin(), getpid());
    // This comes last, so that a pending signal meets its default disposition and not that of this process.
    SigSet::empty().thread_set_mask()?;
    Ok(())
}

/// The number of openat2(2) on every architecture.
const OPENAT2: u32 = 437;

/// Makes openat2(2) fail with ENOSYS for `command` and its children, as on Linux before 5.6. Uses seccomp(2).
///
/// The tests of the wipe use it.
pub fn deny_openat2(command: &mut Command) {
    #[allow(clippy::cast_possible_truncation, reason = "BPF's codes have 16 bits")]
    let statement = |code: u32, jt, jf, k| libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    let refused = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
    let mut filter = [
        // The system call's number is the first field of struct seccomp_data.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, OPENAT2),
        statement(libc::BPF_RET | libc::BPF_K, 0, 0, refused),
        statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let install = move || {
        let program = libc::sock_fprog {
            len: 4,
            filter: filter.as_mut_ptr(),
        };
        // SAFETY: only prctl(2) is called between fork and exec, with a program that lives until it returns.
        let done = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(
                    libc::PR_SET_SECCOMP,
                    libc::SECCOMP_MODE_FILTER,
                    &raw const program,
                ) == 0
        };
        if done {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    };
    // SAFETY: the closure calls prctl(2) only, which is async-signal-safe, and allocates nothing.
    unsafe { command.pre_exec(install) };
}

/// Lowers the number of descriptors that `command` may have, setrlimit(2) `RLIMIT_NOFILE`.
pub fn limit_open_files(command: &mut Command, number: u64) {
    let limit = libc::rlimit {
        rlim_cur: number,
        rlim_max: number,
    };
    let lower = move || {
        // SAFETY: the limit is a local value that is only read.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    };
    // SAFETY: setrlimit(2) is async-signal-safe.
    unsafe { command.pre_exec(lower) };
}
