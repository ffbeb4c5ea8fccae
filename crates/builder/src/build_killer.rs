//! A process beside each build that kills all other processes of its user namespace, once Buildah has ended.
//!
//! A /proc scan races with fork(2): it misses a child that is created meanwhile. kill(-1) is one system call, so no fork can
//! race with it. From within the build's user namespace it reaches the processes of that build only.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpid, getppid, setpgid};
use rustix::process::PidfdFlags;

use super::error::SandboxError;
use linux::poll::{self, Interest};
use linux::process::Identity;
use linux::{fork, idmap, libc_ext, process};
use report::exit;

/// Starts the killer in the current namespaces. It acts when the current process ends, whatever program that executes
/// until then.
pub(super) fn start() -> Result<Pid, SandboxError> {
    let parent = getpid();
    let null = File::options().read(true).write(true).open("/dev/null");
    let null = null.map_err(SandboxError::call("/dev/null"))?;
    let killer = fork::fork_and_run([null.as_fd(); 3], || match kill_after(parent) {
        Ok(()) => 0,
        Err(_) => exit::INTERNAL,
    })
    .map_err(SandboxError::call("fork"))?;
    // A client's signals go to Buildah's process group.
    setpgid(killer, killer).map_err(SandboxError::call("setpgid"))?;
    Ok(killer)
}

fn kill_after(parent: Pid) -> io::Result<()> {
    nix::sys::prctl::set_pdeathsig(None)?;
    // kill(2) also reaches processes of the same uid in other builds. So the killer must be neither root nor the uid of
    // another killer.
    let pid = getpid().as_raw().unsigned_abs();
    let identity = Identity {
        uid: killer_id(last_id(idmap::IdType::User)?, pid),
        gid: killer_id(last_id(idmap::IdType::Group)?, pid),
    };
    process::become_user_with_cap_kill(identity).map_err(io::Error::other)?;
    wait_for(parent)?;
    match libc_ext::kill(-1, Signal::SIGKILL as i32) {
        // No process is left.
        Ok(()) | Err(Errno::ESRCH | Errno::EPERM) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Returns the highest id that is mapped here.
fn last_id(kind: idmap::IdType) -> io::Result<u32> {
    let map = std::fs::read_to_string(kind.map_file("self"))?;
    let lines = idmap::parse_map(&map);
    let ends = lines.iter().map(|line| line.inside + (line.count - 1));
    ends.max()
        .ok_or_else(|| io::Error::other("no id is mapped"))
}

/// Picks an id up to `last` that images rarely use, unique to this killer.
fn killer_id(last: u32, pid: u32) -> u32 {
    last / 4 + pid % (last / 2).max(1)
}

fn wait_for(parent: Pid) -> io::Result<()> {
    let Some(pid) = rustix::process::Pid::from_raw(parent.as_raw()) else {
        return Ok(());
    };
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
    // If it is still the parent after pidfd_open, the descriptor is that of the parent.
    while getppid() == parent {
        if poll::wait(&pidfd, Interest::Read, None)? {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn killers_have_different_ids_in_the_middle_of_the_range() {
        let all: std::collections::BTreeSet<u32> =
            (1..=30_000).map(|pid| killer_id(65_535, pid)).collect();
        assert_eq!(all.len(), 30_000);
        assert!(all.first() > Some(&10_000) && all.last() < Some(&60_000));
        assert_eq!(killer_id(0, 7), 0);
    }
}
