//! A seccomp filter and a limit for a child: both are set between fork and exec.
#![allow(unsafe_code)]

use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::libc;

/// The number of openat2(2) on every architecture.
const OPENAT2: u32 = 437;

/// Answers openat2(2) with ENOSYS, as Linux before 5.6 does, for `command` and its children.
pub(crate) fn without_openat2(command: &mut Command) {
    let statement = |code: u32, jt, jf, k| libc::sock_filter {
        code: u16::try_from(code).unwrap(),
        jt,
        jf,
        k,
    };
    let refused = libc::SECCOMP_RET_ERRNO | u32::try_from(libc::ENOSYS).unwrap();
    let mut filter = [
        // The system call's number stands first in struct seccomp_data.
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
        // SAFETY: between fork and exec only prctl(2) is called, with a program that lives until it returns.
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
            Err(std::io::Error::last_os_error())
        }
    };
    // SAFETY: the closure calls nothing but prctl(2), which is async-signal-safe, and allocates nothing.
    unsafe { command.pre_exec(install) };
}

/// Lowers the number of descriptors that `command` may have.
pub(crate) fn limit_files(command: &mut Command, number: u64) {
    let limit = libc::rlimit {
        rlim_cur: number,
        rlim_max: number,
    };
    let lower = move || {
        // SAFETY: the limit is a value of our own that is only read.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } == 0 {
            Ok(())
        } else {
            Err(std::io::Error::last_os_error())
        }
    };
    // SAFETY: setrlimit(2) is async-signal-safe.
    unsafe { command.pre_exec(lower) };
}
