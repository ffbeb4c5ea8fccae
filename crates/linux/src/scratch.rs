//! A directory for trials on a real file system, gone afterwards whatever became of the trial.
//!
//! A lock on it tells a trial under way from one whose process was killed: the next one removes it, or a guard that
//! outlives the process (`guard`).

use std::ffi::OsStr;
use std::fs::{File, Permissions, set_permissions};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};

use super::probe::Probe;

const PREFIX: &str = ".supervisor-probe.";
/// Between mkdtemp(3) and flock(2) a directory of another process looks abandoned.
const SETTLED: Duration = Duration::from_secs(60);

/// The directory; dropping it removes it.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    /// Held as long as the trial runs.
    _lock: Option<Flock<File>>,
}

impl Scratch {
    /// Makes one in `place`, or in the nearest directory above it that exists already: the same file
    /// system that `place` would be made on.
    ///
    /// # Errors
    /// As mkdtemp(3).
    pub fn create_in(place: &Path) -> std::io::Result<Self> {
        let place = nearest_existing(place);
        remove_abandoned(place);
        let path = nix::unistd::mkdtemp(&place.join(format!("{}XXXXXX", prefix(&owner()))))?;
        let lock = lock(&path);
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
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

/// Who we are, among all the containers that a volume may be mounted in.
pub(super) fn owner() -> String {
    let namespace = std::fs::metadata("/proc/self/ns/pid").map_or(0, |found| found.ino());
    format!("{}-{namespace}", std::process::id())
}

/// How the names of a owner's directories begin.
pub(super) fn prefix(owner: &str) -> String {
    format!("{PREFIX}{owner}.")
}

/// `place`, or the nearest directory above it that exists.
#[must_use]
pub fn nearest_existing(place: &Path) -> &Path {
    let mut ancestors = place.ancestors();
    (ancestors.find(|path| path.is_dir())).unwrap_or(Path::new("/"))
}

/// Removes `path`: by ourselves, else from inside a user namespace where its subordinate owners are ours.
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
        tracing::warn!(directory = %path.display(), %error, "a trial's directory stays behind");
    }
}

/// The name of the trial that removes a directory.
pub const REMOVE: &str = "remove";

/// The child's side of [`REMOVE`], and our own first attempt.
///
/// # Errors
/// As rmdir(2) and unlink(2).
pub fn remove_directly(path: &Path) -> std::io::Result<()> {
    // overlayfs makes this one with mode 0, and nobody may list it then.
    let work = path.join("work/work");
    if work.is_dir() && !work.is_symlink() {
        set_permissions(&work, Permissions::from_mode(0o700))?;
    }
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes what earlier trials left in `place` because they were killed.
pub fn remove_abandoned(place: &Path) {
    let Ok(entries) = std::fs::read_dir(place) else {
        return;
    };
    let left = entries
        .flatten()
        .filter(|entry| is_ours(&entry.file_name()));
    for entry in left {
        let age = entry.metadata().and_then(|found| found.modified()).ok();
        let age = age.and_then(|modified| modified.elapsed().ok());
        let settled = age.is_some_and(|age| age > SETTLED);
        if settled && lock(&entry.path()).is_some() {
            remove(&entry.path());
        }
    }
}

fn is_ours(name: &OsStr) -> bool {
    name.as_bytes().starts_with(PREFIX.as_bytes())
}

fn lock(path: &Path) -> Option<Flock<File>> {
    let directory = File::open(path).ok()?;
    Flock::lock(directory, FlockArg::LockExclusiveNonblock).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_where_the_place_would_be_and_is_gone_afterwards() {
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
    fn only_settled_and_unlocked_directories_are_swept() {
        let root = tempfile::tempdir().unwrap();
        let young = root.path().join(".supervisor-probe.young");
        let old = root.path().join(".supervisor-probe.old");
        let busy = root.path().join(".supervisor-probe.busy");
        for path in [&young, &old, &busy] {
            std::fs::create_dir(path).unwrap();
        }
        let long_ago = std::time::SystemTime::now() - 2 * SETTLED;
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
