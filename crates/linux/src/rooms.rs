//! The child's side of the namespace trials: what can be done in a user namespace that nobody maps.
//!
//! The first process of a new user namespace has every capability in it, mapped or not, user_namespaces(7).

use std::path::Path;
use std::process::Stdio;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use super::handshake::Verdict;
use super::{syscalls, trial, userns};

/// Making a user namespace.
pub const MAKE: &str = "userns";
/// Mounting, unmounting and chroot in one.
pub const MOUNT: &str = "userns-mount";
/// The call that [`MOUNT`] makes last.
pub const UMOUNT: &str = "umount2(tmpfs)";
/// What a container runtime needs beyond that: pivot_root, and a /proc of one's own.
pub const PROC: &str = "userns-proc";
/// The second process of [`PROC`].
pub(crate) const PROC_INSIDE: &str = "userns-proc-inside";
/// Making one and having its ids mapped.
pub const MAPPED: &str = "idmap";

/// The verdict of trial `name`; `None` for other trials.
#[must_use]
pub fn child(name: &str) -> Option<Verdict> {
    let done = match name {
        MAKE => enter(CloneFlags::empty(), "unshare(CLONE_NEWUSER)"),
        MOUNT => mounts(),
        PROC => proc(),
        PROC_INSIDE => mount_one("proc", "/proc"),
        MAPPED => userns::enter(),
        _ => return None,
    };
    Some(done.err().unwrap_or(Verdict::Works))
}

fn refused(call: &'static str) -> impl FnOnce(Errno) -> Verdict {
    move |errno| Verdict::refused(call, errno)
}

fn enter(more: CloneFlags, call: &'static str) -> Result<(), Verdict> {
    unshare(CloneFlags::CLONE_NEWUSER | more).map_err(refused(call))
}

fn mounts() -> Result<(), Verdict> {
    enter(
        CloneFlags::CLONE_NEWNS,
        "unshare(CLONE_NEWUSER|CLONE_NEWNS)",
    )?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>)
        .map_err(refused("mount(/, MS_PRIVATE)"))?;
    let place = if Path::new("/tmp").is_dir() {
        "/tmp"
    } else {
        "/"
    };
    mount_one("tmpfs", place)?;
    nix::unistd::chroot("/").map_err(refused("chroot(/)"))?;
    // Last, because builds can do without it.
    umount2(place, MntFlags::MNT_DETACH).map_err(refused(UMOUNT))
}

fn mount_one(kind: &str, place: &str) -> Result<(), Verdict> {
    let mounted = mount(
        Some(kind),
        place,
        Some(kind),
        MsFlags::empty(),
        None::<&str>,
    );
    mounted.map_err(|errno| Verdict::refused(format!("mount({kind})"), errno))
}

/// The new PID namespace begins with the next child.
fn proc() -> Result<(), Verdict> {
    let all = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID;
    let own = format!("0 {} 1", nix::unistd::geteuid());
    enter(all, "unshare(CLONE_NEWUSER|CLONE_NEWNS|CLONE_NEWPID)")?;
    // What is mounted belongs to root of the namespace, and without a map there is none.
    std::fs::write("/proc/self/uid_map", own).map_err(|error| {
        let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
        Verdict::refused("write(uid_map)", errno)
    })?;
    if let Some(errno) = syscalls::pivot_root_refused() {
        return Err(Verdict::refused("pivot_root", errno));
    }
    let output = trial::again(PROC_INSIDE).stdin(Stdio::null()).output();
    let output = output.map_err(|error| {
        let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
        Verdict::refused("fork in a PID namespace", errno)
    })?;
    match serde_json::from_slice(&output.stdout) {
        Ok(Verdict::Works) => Ok(()),
        Ok(verdict) => Err(verdict),
        Err(_) => Err(Verdict::refused("fork in a PID namespace", Errno::ECHILD)),
    }
}
