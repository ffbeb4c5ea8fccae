//! The lock that a living job has on its workspace: flock(2) on the directory that it shares with the builder.
//!
//! The containers of a pod see neither each other's processes nor each other's ends. The kernel drops a lock when its holder
//! ends, however it ends. A hostile job can keep the lock only as long as it lives, and gains only that its own files stay
//! until its own wipe.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, openat};
use rustix::io::Errno;

/// The time between two tries to get the lock.
const INTERVAL: Duration = Duration::from_millis(100);

/// The lock of the job. Dropping it releases the lock.
#[derive(Debug)]
pub struct WorkspaceLock {
    _directory: File,
}

impl WorkspaceLock {
    /// Takes a shared lock on the directory `workspace`, for as long as the job may use its files.
    ///
    /// # Errors
    /// As open(2) and flock(2). `EWOULDBLOCK` if a builder wipes the workspace.
    pub fn hold(workspace: &Path) -> std::io::Result<Self> {
        let directory = open(workspace)?;
        flock(&directory, FlockOperation::NonBlockingLockShared)?;
        Ok(Self {
            _directory: directory,
        })
    }
}

/// Waits until no job has the lock, and returns it. Returns `None` if a job still has it at `deadline`.
///
/// # Errors
/// As open(2) and flock(2), if it cannot be known whether a job has the lock.
pub(crate) fn wait_until_free(
    workspace: &Path,
    deadline: Instant,
    on_wait: impl FnOnce(),
) -> std::io::Result<Option<File>> {
    let directory = open(workspace)?;
    let mut on_wait = Some(on_wait);
    loop {
        match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Some(directory)),
            Err(Errno::WOULDBLOCK | Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let remaining = deadline.saturating_duration_since(Instant::now());
        if remaining.is_zero() {
            return Ok(None);
        }
        if let Some(on_wait) = on_wait.take() {
            on_wait();
        }
        std::thread::sleep(INTERVAL.min(remaining));
    }
}

fn open(directory: &Path) -> std::io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(File::from(openat(CWD, directory, flags, Mode::empty())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_free_when_its_holder_is_gone() {
        let workspace = tempfile::tempdir().unwrap();
        let first = WorkspaceLock::hold(workspace.path()).unwrap();
        // Two runs of one pod may overlap.
        let second = WorkspaceLock::hold(workspace.path()).unwrap();
        let now = Instant::now();
        assert!(
            wait_until_free(workspace.path(), now, || ())
                .unwrap()
                .is_none()
        );
        drop(first);
        assert!(
            wait_until_free(workspace.path(), now, || ())
                .unwrap()
                .is_none()
        );
        let mut waited = false;
        let later = Instant::now() + Duration::from_secs(3600);
        let lock = std::thread::scope(|scope| {
            let (path, waited) = (workspace.path(), &mut waited);
            let (send, receive) = std::sync::mpsc::channel();
            let waiting = scope.spawn(move || {
                wait_until_free(path, later, || {
                    *waited = true;
                    send.send(()).unwrap();
                })
            });
            receive.recv().unwrap();
            drop(second);
            waiting.join().unwrap().unwrap()
        });
        assert!(waited && lock.is_some());
        assert!(WorkspaceLock::hold(workspace.path()).is_err());
    }

    #[test]
    fn a_missing_workspace_is_an_error() {
        assert!(WorkspaceLock::hold(Path::new("/nowhere")).is_err());
        let found = wait_until_free(Path::new("/nowhere"), Instant::now(), || ());
        assert!(found.is_err());
    }
}
