//! Detaches the mounts that a job left beneath a root, before anything is removed.
//!
//! Sources: mount_namespaces(7), umount(2).

use std::fs::File;
use std::io::Seek;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use linux::errno::name_of;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount};
use rustix::process::fchdir;

use super::failures::Explanation;
use super::mountinfo::{self, MOUNTINFO, Mount};
use super::openat::{self, Opener};
use super::path;
use super::pinned_root::PinnedRoot;
use super::progress::Progress;

/// One mount may hide another one, so the list is read again. A mount namespace has at most this many mounts, fs.mount-max.
const MAX_ROUNDS: usize = 100_000;
/// The explanation of a mount of the pod that lies beneath a root.
const POD_VOLUME: &str = "EXDEV (mounted before the job began, so it belongs to the pod; mount it outside, or name it in workspace.also_wipe)";
/// The kernel's paths of descriptors lie here, so what a job mounted here is detached too.
const PROC: &str = "/proc";

/// The mounts and directories from before the job. The wipe compares them with what the job has left.
#[derive(Debug, Default)]
pub(super) struct MountSnapshot {
    /// Sorted by id.
    mounts: Vec<Mount>,
    /// The kernel's list, open since before the job. The job may mount another file system on `/proc`.
    table: Option<File>,
    changed: AtomicBool,
    pinned: Vec<PinnedRoot>,
}

fn pin_roots(paths: &[PathBuf], mounts: &[Mount]) -> Vec<PinnedRoot> {
    // Both sides are normalized. It is much faster to compare their bytes than their components.
    let is_mount_point = |path: &Path| {
        let path = path.as_os_str();
        mounts.iter().any(|mount| mount.point.as_os_str() == path)
    };
    let outermost: Vec<&PathBuf> = path::outermost(paths).collect();
    let pinned = paths.iter().filter_map(|path| {
        let mounted = is_mount_point(path);
        let wanted = mounted || outermost.contains(&path);
        wanted.then(|| PinnedRoot::pin(Opener::find(), path, mounted).ok())?
    });
    pinned.collect()
}

impl MountSnapshot {
    /// Lists the mounts, and pins each of the normalized `roots` that is a mount point or lies in no other one.
    ///
    /// A missing directory is not pinned. The snapshot is empty if `/proc` cannot be read.
    pub(super) fn take(roots: &[PathBuf]) -> Self {
        // The list is opened first, so that a mount made while it is read counts as a change.
        let table = File::open(MOUNTINFO).ok();
        let mut mounts = table.as_ref().map(mountinfo::read).unwrap_or_default();
        mounts.sort_by_key(|mount| mount.id);
        Self {
            pinned: pin_roots(roots, &mounts),
            mounts,
            table,
            changed: AtomicBool::new(false),
        }
    }

    fn contains(&self, id: u64) -> bool {
        self.mounts
            .binary_search_by_key(&id, |mount| mount.id)
            .is_ok()
    }

    /// Returns today's mounts from the list that was opened before the job.
    fn list_again(&self) -> Vec<Mount> {
        let read = |mut table: &File| table.rewind().map(|()| mountinfo::read(table));
        let table = self.table.as_ref();
        table.and_then(|table| read(table).ok()).unwrap_or_default()
    }

    /// Returns the pinned roots that are no longer at their paths and that may be wiped.
    pub(super) fn path_changed(&self, opener: Opener) -> Vec<&PinnedRoot> {
        let pinned = self.pinned.iter();
        pinned
            .filter(|root| root.path_changed(opener) && root.may_be_wiped())
            .collect()
    }

    /// Restores the modes that the pinned roots had before the job.
    pub(super) fn restore_modes(&self) {
        self.pinned.iter().for_each(PinnedRoot::restore_mode);
    }

    /// Returns whether nothing has been mounted, moved or detached since.
    ///
    /// poll(2) reports a change once, proc_pid_mounts(5), and is faster than reading the list.
    fn is_unchanged(&self) -> bool {
        let quiet = self.table.as_ref().is_some_and(|table| {
            let mut fds = [PollFd::new(table.as_fd(), PollFlags::POLLPRI)];
            poll(&mut fds, PollTimeout::ZERO) == Ok(0)
        });
        !self.changed.fetch_or(!quiet, Relaxed) && quiet
    }
}

/// Detaches the mounts beneath the roots, except those that are roots themselves.
///
/// With a snapshot it detaches the mounts that the job made on and above the roots as well. A mount that cannot be detached
/// gets an explanation.
pub(super) fn detach(
    opener: Opener,
    roots: &[PathBuf],
    before: Option<&MountSnapshot>,
    progress: &Progress,
) {
    detach_rounds(None, opener, roots, before, progress);
}

/// Does the same without a snapshot; `listed` are the mounts if they have just been listed.
pub(super) fn detach_listed(listed: Option<Vec<Mount>>, roots: &[PathBuf], progress: &Progress) {
    detach_rounds(listed, Opener::find(), roots, None, progress);
}

fn detach_rounds(
    mut listed: Option<Vec<Mount>>,
    opener: Opener,
    roots: &[PathBuf],
    before: Option<&MountSnapshot>,
    progress: &Progress,
) {
    if let Some(before) = before.filter(|before| before.is_unchanged()) {
        explain_pod_volumes(&before.mounts, roots, before, progress);
        return;
    }
    for round in 0..MAX_ROUNDS {
        let list = || before.map_or_else(mountinfo::list, MountSnapshot::list_again);
        let mounts = listed.take().unwrap_or_else(list);
        if let (0, Some(before)) = (round, before) {
            explain_pod_volumes(&mounts, roots, before, progress);
        }
        let mut detached = false;
        for mount in &foreign(mounts, roots, before) {
            match detach_one(opener, mount) {
                Ok(()) => detached = true,
                // It went with a mount above it.
                Err(Errno::STALE | Errno::NOENT) => {}
                Err(errno) => {
                    let explanation = Explanation {
                        text: format!("{} (a mount that cannot be detached)", name_of(errno)),
                        excused: false,
                    };
                    progress.explain(mount.point.as_os_str().as_bytes(), explanation);
                }
            }
        }
        if !detached || progress.is_over() {
            return;
        }
    }
}

fn explain_pod_volumes(
    mounts: &[Mount],
    roots: &[PathBuf],
    before: &MountSnapshot,
    progress: &Progress,
) {
    let of_pod = mounts.iter().filter(|mount| before.contains(mount.id));
    for mount in of_pod.filter(|mount| is_inside(mount, roots)) {
        let explanation = Explanation {
            text: POD_VOLUME.to_owned(),
            excused: true,
        };
        progress.explain(mount.point.as_os_str().as_bytes(), explanation);
    }
}

fn is_inside(mount: &Mount, roots: &[PathBuf]) -> bool {
    let point = &mount.point;
    roots
        .iter()
        .any(|root| path::lies_in(point, root) && point != root)
}

/// Returns whether a root is this mount or lies in it.
fn is_needed(mount: &Mount, roots: &[PathBuf]) -> bool {
    roots.iter().any(|root| path::lies_in(root, &mount.point))
}

/// Returns the mounts that must be detached, the outermost ones first.
fn foreign(mounts: Vec<Mount>, roots: &[PathBuf], before: Option<&MountSnapshot>) -> Vec<Mount> {
    let is_foreign = |mount: &Mount| match before {
        Some(before) => {
            let in_proc = || {
                let proc = Path::new(PROC);
                path::lies_in(&mount.point, proc) || path::lies_in(proc, &mount.point)
            };
            let concerned = is_inside(mount, roots) || is_needed(mount, roots) || in_proc();
            concerned && !before.contains(mount.id)
        }
        None => is_inside(mount, roots) && !is_needed(mount, roots),
    };
    let mut found: Vec<Mount> = mounts.into_iter().filter(is_foreign).collect();
    found.sort_by_key(|mount| mount.point.as_os_str().len());
    found
}

/// Detaches a mount if its path still leads to it. Nothing is detached outside of this mount namespace.
fn detach_one(opener: Opener, mount: &Mount) -> Result<(), Errno> {
    let pinned = match openat::pin_any(opener, &mount.point) {
        // With a symlink in the path, the mount is at another path by now.
        Err(Errno::LOOP | Errno::NOTDIR) => return Err(Errno::STALE),
        pinned => pinned?,
    };
    if openat::mount_id(&pinned)? != mount.id {
        return Err(Errno::STALE);
    }
    match openat::magic_link(&pinned) {
        Ok(link) => detach_privately(&link),
        // Another file system is mounted on /proc.
        Err(_) => detach_from_inside(&pinned),
    }
}

fn detach_privately(path: &str) -> Result<(), Errno> {
    // After a recursive bind mount the mounts beneath are peers of the host's, and detaching one detaches its peer.
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change(path, private)?;
    unmount(path, UnmountFlags::DETACH)
}

/// Detaches a mount through the working directory, the only path to a descriptor without `/proc`.
fn detach_from_inside(pinned: &OwnedFd) -> Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let back = openat(CWD, c".", flags, Mode::empty());
    fchdir(pinned)?;
    let detached = detach_privately(".");
    // On failure the working directory stays here, and the wipe uses absolute paths only.
    let _ = back.map(fchdir);
    detached
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mountinfo::parse;
    use crate::mountinfo::tests::EXAMPLE;

    fn foreign_points(roots: &[&str], before: Option<&[u64]>) -> Vec<PathBuf> {
        let roots: Vec<PathBuf> = roots.iter().map(PathBuf::from).collect();
        let mut mounts = parse(EXAMPLE);
        let before = before.map(|ids| {
            mounts.retain(|mount| ids.contains(&mount.id));
            MountSnapshot {
                mounts,
                ..MountSnapshot::default()
            }
        });
        let found = foreign(parse(EXAMPLE), &roots, before.as_ref());
        found.into_iter().map(|mount| mount.point).collect()
    }

    #[test]
    fn foreign_without_a_snapshot_is_what_lies_beneath_a_root() {
        assert_eq!(
            foreign_points(&["/ws"], None),
            ["/ws/home", "/ws/a b\nc\\", "/ws/a b\nc\\/d"].map(PathBuf::from)
        );
        assert_eq!(
            foreign_points(&["/ws", "/ws/home/x", "/ws/a b\nc\\"], None),
            [PathBuf::from("/ws/a b\nc\\/d")]
        );
        assert!(foreign_points(&["/w"], None).is_empty());
    }

    #[test]
    fn foreign_with_a_snapshot_is_what_the_job_mounted() {
        let roots = ["/ws", "/ws/home/x"];
        assert_eq!(
            foreign_points(&roots, Some(&[22, 40, 41, 42])),
            [PathBuf::from("/ws/home")]
        );
        assert_eq!(
            foreign_points(&roots, Some(&[22, 43])),
            ["/ws", "/ws/a b\nc\\", "/ws/a b\nc\\/d"].map(PathBuf::from)
        );
    }
}
