//! The child's side of a probe: enters a user namespace, in which the parent maps the ids.
//!
//! Source: user_namespaces(7). The process must have one thread only.

use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid, setresgid, setresuid};
use report::exit;
use rustix::mount::{MountPropagationFlags, mount_change};

use super::errno::RawErrno;
use super::handshake::{Handshake, ProbeResult, die_with_parent};

/// Makes a user and a mount namespace, has the parent map the ids, and becomes root in it.
///
/// The exchange with the parent goes through stdin and stdout. Mounts made afterwards are not seen outside, and end with the
/// process.
///
/// # Errors
/// Returns the refused call.
pub fn enter() -> Result<(), ProbeResult> {
    enter_with(&Handshake::new(std::io::stdin(), std::io::stdout()))
}

/// Does the same with another `handshake`.
///
/// # Errors
/// Returns the refused call.
pub fn enter_with<R: AsFd, W: AsFd>(handshake: &Handshake<R, W>) -> Result<(), ProbeResult> {
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)
        .map_err(refused("unshare(CLONE_NEWUSER|CLONE_NEWNS)"))?;
    // The change of capabilities has cleared the setting.
    die_with_parent().map_err(refused("prctl(PR_SET_PDEATHSIG)"))?;
    make_dumpable()?;
    let parent = |call| move |_| ProbeResult::refused(call, Errno::EPIPE);
    handshake
        .send_ready()
        .map_err(parent("write to the parent"))?;
    handshake
        .wait_for_go()
        .map_err(parent("read from the parent"))?;
    setresgid(Gid::from_raw(0), Gid::from_raw(0), Gid::from_raw(0))
        .map_err(refused("setresgid(0)"))?;
    setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0))
        .map_err(refused("setresuid(0)"))?;
    make_dumpable()?;
    die_with_parent().map_err(refused("prctl(PR_SET_PDEATHSIG)"))?;
    let private = MountPropagationFlags::REC | MountPropagationFlags::PRIVATE;
    mount_change("/", private).map_err(refused("mount(/, MS_PRIVATE)"))
}

/// Lets the parent open our files in `/proc`. They are closed to it after a change of user and in a program with file
/// capabilities, ptrace(2).
fn make_dumpable() -> Result<(), ProbeResult> {
    nix::sys::prctl::set_dumpable(true).map_err(refused("prctl(PR_SET_DUMPABLE)"))
}

fn refused<E: RawErrno>(call: &'static str) -> impl FnOnce(E) -> ProbeResult {
    move |errno| ProbeResult::refused(call, errno)
}

/// The name of the probe that runs a program which ends with its parent.
pub const BOUND: &str = "bound";

/// Becomes `program`, which the kernel kills when the parent ends. Returns an exit code only if that failed.
#[must_use]
pub fn exec_bound_to_parent(program: &OsStr, arguments: &[OsString]) -> u8 {
    if die_with_parent().is_err() {
        return exit::CANNOT_EXECUTE;
    }
    let error = Command::new(program).args(arguments).exec();
    if error.kind() == std::io::ErrorKind::NotFound {
        exit::NOT_FOUND
    } else {
        exit::CANNOT_EXECUTE
    }
}
