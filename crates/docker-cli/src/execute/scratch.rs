//! The scratch directory of one call. A call that was killed leaves its own, and the next call removes it.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::files::create_private;

/// How the name of each begins.
const PREFIX: &str = "docker-";
/// The file that a call holds locked as long as it runs, flock(2).
const LOCK: &str = ".client";

/// Returns a new path. In a job, TMPDIR is in the workspace and beside the checkout. So the builder sees it, and no build context
/// contains it.
pub(super) fn path() -> PathBuf {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let unique = now.map_or(0, |since| since.subsec_nanos());
    let name = format!("{PREFIX}{}-{unique}", std::process::id());
    std::env::temp_dir().join(name)
}

/// A scratch directory. Dropping it without [`Scratch::remove`] leaves it to the next call.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
    _lock: File,
}

impl Scratch {
    /// Creates the directory for this call only, and removes those of calls that were killed.
    ///
    /// # Errors
    /// As mkdir(2), open(2) and flock(2).
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        DirBuilder::new().mode(0o700).create(path)?;
        if let Some(parent) = path.parent() {
            remove_abandoned(parent);
        }
        // Under its name only when it is locked, so that no other call takes it for abandoned.
        let unnamed = path.join(".lock");
        let lock = create_private(&unnamed)?;
        // Not every file system has locks. Without one, nothing is removed.
        if lock.try_lock().is_ok() {
            fs::rename(&unnamed, path.join(LOCK))?;
        }
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Removes the directory.
    ///
    /// # Errors
    /// As unlink(2) and rmdir(2).
    pub(super) fn remove(self) -> io::Result<()> {
        remove_all(&self.path)
    }
}

/// Removes a directory. A copy of a context may have directories without permissions, which the job could not remove.
fn remove_all(path: &Path) -> io::Result<()> {
    fs::remove_dir_all(path).or_else(|_| {
        open_up(path);
        fs::remove_dir_all(path)
    })
}

fn open_up(directory: &Path) {
    let _ = fs::set_permissions(directory, Permissions::from_mode(0o700));
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

/// Removes the directories whose lock is free. What cannot be removed is left to the wipe.
fn remove_abandoned(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let ours = |name: &OsStr| name.to_str().is_some_and(|name| name.starts_with(PREFIX));
        let directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !directory || !ours(&entry.file_name()) {
            continue;
        }
        let path = entry.path();
        let lock = File::open(path.join(LOCK));
        if lock.is_ok_and(|lock| lock.try_lock().is_ok()) {
            let _ = remove_all(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removes_only_what_a_killed_call_left() {
        let parent = tempfile::tempdir().unwrap();
        let at = |name: &str| parent.path().join(name);
        let killed = Scratch::create(&at("docker-1-1")).unwrap();
        fs::write(at("docker-1-1/file"), "left").unwrap();
        drop(killed);
        let running = Scratch::create(&at("docker-2-2")).unwrap();
        assert!(!at("docker-1-1").exists());
        for name in ["docker-actions-toolkit-x", "docker-3-3", "other"] {
            fs::create_dir(at(name)).unwrap();
        }
        fs::write(at("other").join(LOCK), "").unwrap();
        let next = Scratch::create(&at("docker-4-4")).unwrap();
        for name in [
            "docker-2-2",
            "docker-actions-toolkit-x",
            "docker-3-3",
            "other",
        ] {
            assert!(at(name).exists(), "{name}");
        }
        running.remove().unwrap();
        next.remove().unwrap();
        assert!(!at("docker-2-2").exists() && !at("docker-4-4").exists());
    }
}
