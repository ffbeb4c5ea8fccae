//! The second pair of namespaces. A process in it cannot change mounts that come from the first: mount_namespaces(7).

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;

use nix::fcntl::OFlag;
use nix::libc;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::pipe2;

use crate::error::SandboxError;
use linux::{fork, idmap, libc_ext};

/// Enters new user and mount namespaces that have the ids of the current ones.
pub(super) fn enter() -> Result<(), SandboxError> {
    let (input, signal) = pipe2(OFlag::O_CLOEXEC).map_err(SandboxError::call("pipe"))?;
    let null = File::options().write(true).open("/dev/null");
    let null = null.map_err(SandboxError::call("/dev/null"))?;
    let pid = std::process::id();
    let stdio = [input.as_fd(), null.as_fd(), null.as_fd()];
    let helper = fork::fork_and_run(stdio, || map_ids(pid)).map_err(SandboxError::call("fork"))?;
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS).map_err(SandboxError::call(
        "the second unshare(CLONE_NEWUSER|CLONE_NEWNS)",
    ))?;
    // The end of its input makes the helper continue.
    drop(signal);
    let status = libc_ext::wait(helper).map_err(SandboxError::call("waitpid"))?;
    if status == 0 {
        return Ok(());
    }
    let errno = io::Error::from_raw_os_error(libc::WEXITSTATUS(status));
    Err(SandboxError::call("the id maps of the second namespace")(
        errno,
    ))
}

/// Runs in the helper, which stays in the first namespace. It maps each id of process `pid` to itself once its standard
/// input ends. Returns an errno, or 0.
fn map_ids(pid: u32) -> u8 {
    let _ = io::stdin().read_to_end(&mut Vec::new());
    for kind in [idmap::IdType::User, idmap::IdType::Group] {
        let current = std::fs::read_to_string(kind.map_file("self")).unwrap_or_default();
        let text: String = idmap::parse_map(&current)
            .iter()
            .map(|line| format!("{} {} {}\n", line.inside, line.inside, line.count))
            .collect();
        if let Err(error) = std::fs::write(kind.map_file(&pid.to_string()), text) {
            let errno = error.raw_os_error().unwrap_or(libc::EIO);
            return u8::try_from(errno).unwrap_or(u8::MAX);
        }
    }
    0
}
