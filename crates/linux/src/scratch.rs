//! Scratch directories of probes, on a real file system, which are removed even if the process is killed.
//!
//! The owner holds a lock on its directory. A directory without a lock is abandoned, and the next probe removes it.
//! A [watchdog](super::cleanup_watchdog) that outlives the process removes it sooner.

use std::ffi::OsStr;
use std::fs::{DirBuilder, File, Permissions, set_permissions};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use super::files::random_name;
use super::probe::Probe;

const PREFIX: &str = ".supervisor-probe.";
/// A younger directory may be one that another process has made and not locked yet.
const MIN_AGE: Duration = Duration::from_secs(60);

/// A directory that is removed when the value is dropped.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    /// Held as long as the directory is in use.
    _lock: Option<File>,
}

impl Scratch {
    /// Makes a directory with mode 0700 in `place`, or in the nearest existing directory above it.
    ///
    /// So it is on the file system on which `place` would be made.
    ///
    /// # Errors
    /// As mkdir(2), and read(2) on `/dev/urandom`.
    pub fn create_in(place: &Path) -> std::io::Result<Self> {
        let place = nearest_existing(place);
        remove_abandoned(place);
        let path = place.join(format!("{}{}", prefix(&owner()), random_name()?));
        DirBuilder::new().mode(0o700).create(&path)?;
        let lock = lock(&path);
        Ok(Self { path, _lock: lock })
    }

    /// Returns the path of the directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Identifies this process among the containers that share a volume: the pid and the inode of the PID namespace.
pub(super) fn owner() -> String {
    let namespace = std::fs::metadata("/proc/self/ns/pid").map_or(0, |found| found.ino());
    format!("{}-{namespace}", std::process::id())
}

/// Returns the beginning of the names of an owner's directories.
pub(super) fn prefix(owner: &str) -> String {
    format!("{PREFIX}{owner}.")
}

/// Returns `place` if it is a directory, and else the nearest directory above it that exists.
#[must_use]
pub fn nearest_existing(place: &Path) -> &Path {
    let mut ancestors = place.ancestors();
    ancestors
        .find(|path| path.is_dir())
        .unwrap_or(Path::new("/"))
}

/// Removes a scratch directory.
///
/// If permission is denied, a child in a user namespace removes it, in which the files of subordinate ids belong to root.
/// A failure is logged.
pub fn remove(path: &Path) {
    if remove_directly(path).is_ok() {
        return;
    }
    let removal = Probe {
        name: REMOVE,
        arguments: vec![path.into()],
        forked: None,
        mapped: true,
        timeout: Duration::from_secs(5),
    };
    if let Err(error) = removal.run() {
        tracing::warn!(directory = %path.display(), %error, "a probe's scratch directory could not be removed");
    }
}

/// The name of the probe that removes a directory.
pub const REMOVE: &str = "remove";

/// Removes a directory as the current user; the child of [`REMOVE`] calls it too. A missing directory is no error.
///
/// # Errors
/// As rmdir(2) and unlink(2).
pub fn remove_directly(path: &Path) -> std::io::Result<()> {
    // overlayfs makes this directory with mode 0, so that it cannot be listed.
    let work = path.join("work/work");
    if work.is_dir() && !work.is_symlink() {
        set_permissions(&work, Permissions::from_mode(0o700))?;
    }
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes the scratch directories in `place` that killed processes have left.
fn remove_abandoned(place: &Path) {
    let Ok(entries) = std::fs::read_dir(place) else {
        return;
    };
    let scratch = entries
        .flatten()
        .filter(|entry| is_scratch(&entry.file_name()));
    for entry in scratch {
        let modified = entry.metadata().and_then(|found| found.modified()).ok();
        let age = modified.and_then(|modified| modified.elapsed().ok());
        let is_old = age.is_some_and(|age| age > MIN_AGE);
        if is_old && lock(&entry.path()).is_some() {
            remove(&entry.path());
        }
    }
}

fn is_scratch(name: &OsStr) -> bool {
    name.as_bytes().starts_with(PREFIX.as_bytes())
}

fn lock(path: &Path) -> Option<File> {
    let directory = File::open(path).ok()?;
    flock(&directory, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scratch_is_made_above_a_missing_place_and_removed() {
        let root = tempfile::tempdir().unwrap();
        let scratch = Scratch::create_in(&root.path().join("not/yet")).unwrap();
        let path = scratch.path().to_owned();
        assert_eq!(path.parent(), Some(root.path()));
        std::fs::create_dir_all(path.join("work/work/deep")).unwrap();
        set_permissions(path.join("work/work"), Permissions::from_mode(0o000)).unwrap();
        drop(scratch);
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn remove_abandoned_spares_young_and_locked_directories() {
        let root = tempfile::tempdir().unwrap();
        let young = root.path().join(".supervisor-probe.young");
        let old = root.path().join(".supervisor-probe.old");
        let busy = root.path().join(".supervisor-probe.busy");
        for path in [&young, &old, &busy] {
            std::fs::create_dir(path).unwrap();
        }
        let long_ago = std::time::SystemTime::now() - 2 * MIN_AGE;
        for path in [&old, &busy] {
            File::open(path).unwrap().set_modified(long_ago).unwrap();
        }
        let held = lock(&busy);
        remove_abandoned(root.path());
        assert_eq!(
            [young.exists(), old.exists(), busy.exists()],
            [true, false, true]
        );
        drop(held);
    }
}
