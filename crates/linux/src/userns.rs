//! The child's side of a trial: entering a user namespace whose ids the parent maps.
//!
//! Source: user_namespaces(7). The process must have one thread only.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid, setresgid, setresuid};

use super::handshake::{GO, ProbeResult, READY, die_with_parent};
use report::exit;

/// Makes a user and a mount namespace, has the parent map the ids, and becomes root in it.
///
/// No mount made afterwards is seen outside, and all of them end with the process.
///
/// # Errors
/// The refused call, as a verdict.
pub fn enter() -> Result<(), ProbeResult> {
    enter_notifying(|| {
        let mut stdout = std::io::stdout();
        stdout
            .write_all(READY.as_bytes())
            .and_then(|()| stdout.flush())
    })
}

/// The same, where the parent is told by other means that the namespace is there.
///
/// # Errors
/// The refused call, as a verdict.
pub fn enter_notifying(notify: impl FnOnce() -> std::io::Result<()>) -> Result<(), ProbeResult> {
    let refused = |call: &'static str| move |errno| ProbeResult::refused(call, errno);
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)
        .map_err(refused("unshare(CLONE_NEWUSER|CLONE_NEWNS)"))?;
    // New capabilities have cleared it.
    die_with_parent().map_err(refused("prctl(PR_SET_PDEATHSIG)"))?;
    // The parent opens what /proc has of us; a program with file capabilities, or another user now, is closed to it.
    let show = || nix::sys::prctl::set_dumpable(true).map_err(refused("prctl(PR_SET_DUMPABLE)"));
    show()?;
    notify().map_err(|_| ProbeResult::refused("write to the parent", Errno::EPIPE))?;
    let mut answer = [0; GO.len()];
    std::io::stdin()
        .read_exact(&mut answer)
        .map_err(|_| ProbeResult::refused("read from the parent", Errno::EPIPE))?;
    setresgid(Gid::from_raw(0), Gid::from_raw(0), Gid::from_raw(0))
        .map_err(refused("setresgid(0)"))?;
    setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0))
        .map_err(refused("setresuid(0)"))?;
    show()?;
    die_with_parent().map_err(refused("prctl(PR_SET_PDEATHSIG)"))?;
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        None::<&str>,
    )
    .map_err(refused("mount(/, MS_PRIVATE)"))
}

/// The trial name under which a program runs that ends with its parent.
pub const BOUND: &str = "bound";

/// Becomes `program`, bound to the life of the parent. Returns only the code of a failure.
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
