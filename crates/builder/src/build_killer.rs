//! A process beside each build that ends all the others of its namespace in one stroke, once Buildah is gone.
//!
//! Looking through /proc takes a while, in which who forks and ends is never where one looks. kill(2) on -1 is one system
//! call, during which nobody forks; and from within the build's user namespace it reaches those of that build alone.

use std::fs::File;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpid, getppid, setpgid};
use rustix::process::PidfdFlags;

use linux::process::Identity;
use linux::ready::{self, Want};
use linux::{fork, idmap, process, raw};
use report::exit;

/// Starts it in the namespace that we are in, for the time when we end; whatever we become until then.
pub(super) fn start() -> Result<Pid, String> {
    let us = getpid();
    let null = File::options().read(true).write(true).open("/dev/null");
    let null = null.map_err(|error| format!("/dev/null: {error}"))?;
    let killer = fork::child([null.as_fd(); 3], || match kill_after(us) {
        Ok(()) => 0,
        Err(_) => exit::INTERNAL,
    })
    .map_err(|error| format!("fork: {error}"))?;
    // What a client signals is Buildah's group.
    setpgid(killer, killer).map_err(|errno| format!("setpgid: {errno}"))?;
    Ok(killer)
}

fn kill_after(parent: Pid) -> Result<(), String> {
    let failed = |errno: Errno| errno.to_string();
    nix::sys::prctl::set_pdeathsig(None).map_err(failed)?;
    // kill(2) reaches who has our own user as well, be it in another build: not root, then, and no other sweeper.
    let last = |kind: idmap::Kind| {
        let map = std::fs::read_to_string(kind.map_file("self")).ok()?;
        let lines = idmap::parse_map(&map);
        let ends = lines.iter().map(|line| line.inside + (line.count - 1));
        ends.max()
    };
    let own = getpid().as_raw().unsigned_abs();
    let one = |kind| last(kind).map(|last| killer_id(last, own));
    let (Some(uid), Some(gid)) = (one(idmap::Kind::User), one(idmap::Kind::Group)) else {
        return Err("no ids".to_owned());
    };
    let identity = Identity { uid, gid };
    process::become_killer(identity).map_err(|error| error.to_string())?;
    wait_for(parent)?;
    match raw::kill(-1, Signal::SIGKILL as i32) {
        // There is nobody else.
        Ok(()) | Err(Errno::ESRCH | Errno::EPERM) => Ok(()),
        Err(errno) => Err(failed(errno)),
    }
}

/// One of the ids up to `last` that hardly any image has, and that is nobody else's who does this now.
fn killer_id(last: u32, pid: u32) -> u32 {
    last / 4 + pid % (last / 2).max(1)
}

fn wait_for(parent: Pid) -> Result<(), String> {
    let Some(pid) = rustix::process::Pid::from_raw(parent.as_raw()) else {
        return Ok(());
    };
    let Ok(held) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else {
        return Err("pidfd_open".to_owned());
    };
    // It was still the parent when it was opened, or has ended.
    while getppid() == parent {
        if ready::wait(&held, Want::Read, None).map_err(|errno| errno.to_string())? {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn killers_are_different_users_of_the_middle_of_the_range() {
        let all: std::collections::BTreeSet<u32> =
            (1..=30_000).map(|pid| killer_id(65_535, pid)).collect();
        assert_eq!(all.len(), 30_000);
        assert!(all.first() > Some(&10_000) && all.last() < Some(&60_000));
        assert_eq!(killer_id(0, 7), 0);
    }
}
