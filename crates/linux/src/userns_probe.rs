//! The children of the probes that try what works in a new user namespace.
//!
//! The first process of a user namespace has every capability in it, even if no id is mapped, user_namespaces(7).

use std::path::Path;
use std::process::Stdio;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount,
};

use super::errno::RawErrno;
use super::handshake::ProbeResult;
use super::{probe, syscalls, userns};

/// The probe that makes a user namespace.
pub const CREATE: &str = "userns";
/// The probe that mounts, unmounts and calls chroot(2) in a user namespace.
pub const MOUNT: &str = "userns-mount";
/// The last call of [`MOUNT`].
pub const UMOUNT: &str = "umount2(tmpfs)";
/// The probe for the other needs of a container runtime: pivot_root(2), and a `/proc` for a PID namespace.
pub const PROC: &str = "userns-proc";
/// The second process of [`PROC`].
const PROC_INSIDE: &str = "userns-proc-inside";
/// The probe that makes a user namespace and has its ids mapped.
pub const MAPPED: &str = "idmap";

/// Runs probe `name` in its child and returns the result; `None` for the name of another probe.
#[must_use]
pub fn run_in_child(name: &str) -> Option<ProbeResult> {
    let done = match name {
        CREATE => enter(CloneFlags::empty(), "unshare(CLONE_NEWUSER)"),
        MOUNT => try_mounts(),
        PROC => try_proc(),
        PROC_INSIDE => mount_new("proc", "/proc"),
        MAPPED => userns::enter(),
        _ => return None,
    };
    Some(done.err().unwrap_or(ProbeResult::Works))
}

fn refused<E: RawErrno>(call: &'static str) -> impl FnOnce(E) -> ProbeResult {
    move |errno| ProbeResult::refused(call, errno)
}

fn enter(more: CloneFlags, call: &'static str) -> Result<(), ProbeResult> {
    unshare(CloneFlags::CLONE_NEWUSER | more).map_err(refused(call))
}

fn try_mounts() -> Result<(), ProbeResult> {
    enter(
        CloneFlags::CLONE_NEWNS,
        "unshare(CLONE_NEWUSER|CLONE_NEWNS)",
    )?;
    let private = MountPropagationFlags::REC | MountPropagationFlags::PRIVATE;
    mount_change("/", private).map_err(refused("mount(/, MS_PRIVATE)"))?;
    let place = if Path::new("/tmp").is_dir() {
        "/tmp"
    } else {
        "/"
    };
    mount_new("tmpfs", place)?;
    nix::unistd::chroot("/").map_err(refused("chroot(/)"))?;
    // It comes last because builds can do without it.
    unmount(place, UnmountFlags::DETACH).map_err(refused(UMOUNT))
}

fn mount_new(kind: &str, place: &str) -> Result<(), ProbeResult> {
    mount(kind, place, kind, MountFlags::empty(), None)
        .map_err(|errno| ProbeResult::refused(format!("mount({kind})"), errno))
}

/// The next child is the first process of the new PID namespace.
fn try_proc() -> Result<(), ProbeResult> {
    let flags = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID;
    let map = format!("0 {} 1", nix::unistd::geteuid());
    enter(flags, "unshare(CLONE_NEWUSER|CLONE_NEWNS|CLONE_NEWPID)")?;
    // A mount belongs to root of the namespace, which does not exist without a map.
    std::fs::write("/proc/self/uid_map", map).map_err(refused("write(uid_map)"))?;
    if let Some(errno) = syscalls::pivot_root_refused() {
        return Err(ProbeResult::refused("pivot_root", errno));
    }
    let output = probe::command(PROC_INSIDE).stdin(Stdio::null()).output();
    let output = output.map_err(refused("fork in a PID namespace"))?;
    match serde_json::from_slice(&output.stdout) {
        Ok(ProbeResult::Works) => Ok(()),
        Ok(result) => Err(result),
        Err(_) => Err(ProbeResult::refused(
            "fork in a PID namespace",
            Errno::ECHILD,
        )),
    }
}
