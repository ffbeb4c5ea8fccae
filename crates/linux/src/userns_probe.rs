//! The child's side of the namespace trials: what can be done in a user namespace that nobody maps.
//!
//! The first process of a new user namespace has every capability in it, mapped or not, user_namespaces(7).

use std::path::Path;
use std::process::Stdio;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use super::handshake::ProbeResult;
use super::{probe, syscalls, userns};

/// Making a user namespace.
pub const CREATE: &str = "userns";
/// Mounting, unmounting and chroot in one.
pub const MOUNT: &str = "userns-mount";
/// The call that [`MOUNT`] makes last.
pub const UMOUNT: &str = "umount2(tmpfs)";
/// What a container runtime needs beyond that: pivot_root, and a /proc of one's own.
pub const PROC: &str = "userns-proc";
/// The second process of [`PROC`].
pub const PROC_INSIDE: &str = "userns-proc-inside";
/// Making one and having its ids mapped.
pub const MAPPED: &str = "idmap";

/// The verdict of trial `name`; `None` for other trials.
#[must_use]
pub fn run_in_child(name: &str) -> Option<ProbeResult> {
    let done = match name {
        CREATE => enter(CloneFlags::empty(), "unshare(CLONE_NEWUSER)"),
        MOUNT => mounts(),
        PROC => proc(),
        PROC_INSIDE => mount_one("proc", "/proc"),
        MAPPED => userns::enter(),
        _ => return None,
    };
    Some(done.err().unwrap_or(ProbeResult::Works))
}

fn refused(call: &'static str) -> impl FnOnce(Errno) -> ProbeResult {
    move |errno| ProbeResult::refused(call, errno)
}

fn enter(more: CloneFlags, call: &'static str) -> Result<(), ProbeResult> {
    unshare(CloneFlags::CLONE_NEWUSER | more).map_err(refused(call))
}

fn mounts() -> Result<(), ProbeResult> {
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

fn mount_one(kind: &str, place: &str) -> Result<(), ProbeResult> {
    let mounted = mount(
        Some(kind),
        place,
        Some(kind),
        MsFlags::empty(),
        None::<&str>,
    );
    mounted.map_err(|errno| ProbeResult::refused(format!("mount({kind})"), errno))
}

/// The new PID namespace begins with the next child.
fn proc() -> Result<(), ProbeResult> {
    let all = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID;
    let own = format!("0 {} 1", nix::unistd::geteuid());
    enter(all, "unshare(CLONE_NEWUSER|CLONE_NEWNS|CLONE_NEWPID)")?;
    // What is mounted belongs to root of the namespace, and without a map there is none.
    std::fs::write("/proc/self/uid_map", own).map_err(|error| {
        let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
        ProbeResult::refused("write(uid_map)", errno)
    })?;
    if let Some(errno) = syscalls::pivot_root_refused() {
        return Err(ProbeResult::refused("pivot_root", errno));
    }
    let output = probe::command(PROC_INSIDE).stdin(Stdio::null()).output();
    let output = output.map_err(|error| {
        let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
        ProbeResult::refused("fork in a PID namespace", errno)
    })?;
    match serde_json::from_slice(&output.stdout) {
        Ok(ProbeResult::Works) => Ok(()),
        Ok(verdict) => Err(verdict),
        Err(_) => Err(ProbeResult::refused(
            "fork in a PID namespace",
            Errno::ECHILD,
        )),
    }
}
