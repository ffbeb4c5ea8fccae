//! Finds the system calls that a seccomp filter refuses.
//!
//! Each call has invalid arguments, so that the kernel itself refuses it with a known errno and without any effect. Any
//! other result comes from a filter.
#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::libc::{self, c_long, c_ulong};
use serde::{Deserialize, Serialize};

/// The name of the probe that makes all the calls.
pub const NAME: &str = "syscalls";

/// A system call with invalid arguments, and the errno that an unfiltered kernel returns.
struct SyscallCheck {
    name: &'static str,
    number: c_long,
    arguments: [c_ulong; 5],
    unfiltered: Errno,
}

const NULL: c_ulong = 0;
const NO_FD: c_ulong = c_ulong::MAX;
/// clone(2) refuses `CLONE_NEWUSER` together with `CLONE_FS`.
#[allow(clippy::cast_sign_loss, reason = "flags")]
const NONSENSE: c_ulong = (libc::CLONE_NEWUSER | libc::CLONE_FS | libc::SIGCHLD) as c_ulong;

const fn check(
    name: &'static str,
    number: c_long,
    arguments: [c_ulong; 5],
    unfiltered: Errno,
) -> SyscallCheck {
    SyscallCheck {
        name,
        number,
        arguments,
        unfiltered,
    }
}

const CHECKS: [SyscallCheck; 10] = [
    check("unshare", libc::SYS_unshare, [0; 5], Errno::UnknownErrno),
    check(
        "clone",
        libc::SYS_clone,
        [NONSENSE, NULL, NULL, NULL, NULL],
        Errno::EINVAL,
    ),
    check("clone3", libc::SYS_clone3, [0; 5], Errno::EINVAL),
    check("mount", libc::SYS_mount, [0; 5], Errno::EFAULT),
    check("umount2", libc::SYS_umount2, [0; 5], Errno::EFAULT),
    check("setns", libc::SYS_setns, [NO_FD, 0, 0, 0, 0], Errno::EBADF),
    check("chroot", libc::SYS_chroot, [0; 5], Errno::EFAULT),
    // Without privileges the kernel itself returns EPERM, so it is called in a user namespace.
    check("pivot_root", libc::SYS_pivot_root, [0; 5], Errno::EFAULT),
    check(
        "keyctl",
        libc::SYS_keyctl,
        [0xffff, 0, 0, 0, 0],
        Errno::EOPNOTSUPP,
    ),
    check(
        "openat2",
        libc::SYS_openat2,
        [NO_FD, NULL, NULL, 0, 0],
        Errno::EINVAL,
    ),
];

/// The calls that a filter refused so far. If the filter kills the child, `pending` names the call that it made.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilterReport {
    /// The refused calls with the number of the error, errno(3).
    pub refused: Vec<(String, i32)>,
    /// The call that has been made and has not returned.
    pub pending: Option<String>,
}

/// Makes the calls in the child, and prints a report before and after each of them.
pub fn run_in_child() {
    let mut report = FilterReport::default();
    for check in &CHECKS {
        if check.name == "pivot_root" {
            continue;
        }
        report.pending = Some(check.name.to_owned());
        print(&report);
        if let Some(errno) = refusal(check) {
            report.refused.push((check.name.to_owned(), errno as i32));
        }
    }
    report.pending = None;
    print(&report);
}

fn print(report: &FilterReport) {
    println!("{}", serde_json::to_string(report).unwrap_or_default());
}

/// Makes an invalid call of pivot_root(2), which needs every capability. Returns the error of a filter.
#[must_use]
pub(crate) fn pivot_root_refused() -> Option<Errno> {
    let check = CHECKS.iter().find(|check| check.name == "pivot_root")?;
    refusal(check)
}

fn refusal(check: &SyscallCheck) -> Option<Errno> {
    let [a, b, c, d, e] = check.arguments;
    // SAFETY: every pointer among the arguments is NULL. The kernel reports it as EFAULT or EINVAL before it does
    // anything. unshare(0) changes nothing, and clone's flags contradict each other, so no process is made.
    let result = unsafe { libc::syscall(check.number, a, b, c, d, e) };
    let errno = if result == -1 {
        Errno::last()
    } else {
        Errno::UnknownErrno
    };
    (errno != check.unfiltered).then_some(errno)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In a plain environment there is no filter, and each errno of the table is the kernel's own.
    #[test]
    fn unfiltered_kernel_returns_the_errnos_of_the_table() {
        for check in CHECKS.iter().filter(|check| check.name != "unshare") {
            // unshare(0) would work too, but the test harness has threads.
            assert_eq!(refusal(check), None, "{}", check.name);
        }
    }
}
