//! The roots of a wipe: checks them, and removes them at the end.

use std::cell::OnceCell;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, unlinkat};
use rustix::io::Errno;

use super::bind_alias;
use super::mountinfo::{self, Mount};
use super::mountpoint;
use super::openat::{self, Opener};
use super::path::{self, Refusal, RefusedPath};
use super::progress::Progress;
use super::root_and_home::{closed, reject_root_and_home};

/// Returns the normalized path if it may be wiped, and the directory if it exists.
///
/// # Errors
/// Returns the [`Refusal`] otherwise.
fn accept(path: &Path) -> Result<(PathBuf, Option<OwnedFd>), Refusal> {
    let clean = path::accept(path)?;
    let pinned = match openat::pin(Opener::find(), &clean) {
        Err(Errno::NOENT) => return Ok((clean, None)),
        Err(Errno::LOOP | Errno::NOTDIR) => return Err(Refusal::NotADirectory),
        pinned => pinned.map_err(closed)?,
    };
    reject_root_and_home(&pinned)?;
    Ok((clean, Some(pinned)))
}

/// Returns the roots that are accepted, and the paths that are refused.
pub(super) fn accept_all(paths: &[PathBuf]) -> (Vec<PathBuf>, Vec<RefusedPath>) {
    let mut refused = Vec::new();
    let mut roots = Vec::new();
    for path in paths {
        // A path in another root is removed with that root, even if it is a symlink that the job made.
        let nested = || {
            let mut others = paths.iter();
            others.any(|other| path != other && path.starts_with(other))
        };
        match accept(path) {
            Ok((root, _)) => roots.push(root),
            Err(_) if nested() => {}
            Err(refusal) => refused.push(RefusedPath {
                path: path.clone(),
                refusal,
            }),
        }
    }
    (roots, refused)
}

/// Checks a path that a user typed.
///
/// Rejects a directory of the system under another name as well, and a mount point if it is to be removed.
///
/// # Errors
/// Returns the [`Refusal`] otherwise.
pub(super) fn check(
    path: &Path,
    keep: bool,
    mounts: &OnceCell<Vec<Mount>>,
) -> Result<PathBuf, Refusal> {
    let (clean, fd) = accept(path)?;
    let Some(fd) = fd else { return Ok(clean) };
    let opener = Opener::find();
    let mount = openat::mount_id(&fd).map_err(closed)?;
    let top = openat::pin(opener, Path::new("/")).and_then(|top| openat::mount_id(&top));
    // Without a mount on the way a directory has one name.
    if top != Ok(mount)
        && let Some(refusal) =
            bind_alias::find_refusal(mounts.get_or_init(mountinfo::list), mount, &clean)
    {
        return Err(refusal);
    }
    if !keep && mountpoint::is_mount_point(opener, &clean, &fd).map_err(closed)? {
        return Err(Refusal::MountPoint);
    }
    Ok(clean)
}

/// Removes the roots themselves, the innermost one first.
pub(super) fn remove(opener: Opener, roots: &[PathBuf], progress: &Progress) {
    let mut roots: Vec<&PathBuf> = roots.iter().collect();
    roots.sort_by_key(|root| std::cmp::Reverse(root.as_os_str().len()));
    for root in roots {
        match remove_one(opener, root) {
            Ok(()) => {
                progress
                    .directories
                    .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
            Err(Errno::NOENT) => {}
            Err(errno) => progress.record_failure(root.as_os_str().as_bytes(), errno),
        }
    }
}

fn remove_one(opener: Opener, root: &Path) -> Result<(), Errno> {
    let (Some(parent), Some(name)) = (root.parent(), root.file_name()) else {
        return Err(Errno::BUSY);
    };
    let name = CString::new(name.as_bytes()).map_err(|_| Errno::INVAL)?;
    unlinkat(openat::pin(opener, parent)?, &name, AtFlags::REMOVEDIR)
}
