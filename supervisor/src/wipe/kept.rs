//! Directories held since before the job: whatever it did to their paths, what it left in them can be emptied.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, fchmod};
use rustix::io::Errno;

use super::open::{self, Identity, Opener};

/// A root as it was before the job.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) path: PathBuf,
    /// Whether a file system is mounted there.
    pub(super) volume: bool,
    pinned: OwnedFd,
    identity: Identity,
    mode: Mode,
}

impl Kept {
    /// Holds the directory that there is now.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn hold(opener: Opener, path: &Path, volume: bool) -> Result<Self, Errno> {
        let pinned = open::pin(opener, path)?;
        let (identity, mode) = open::identity(&pinned)?;
        Ok(Self {
            path: path.to_owned(),
            volume,
            pinned,
            identity,
            mode,
        })
    }

    /// Whether its path leads elsewhere now, or nowhere.
    pub(super) fn strayed(&self, opener: Opener) -> bool {
        let now = open::pin(opener, &self.path).and_then(|now| open::identity(&now));
        now.map(|(identity, _)| identity) != Ok(self.identity)
    }

    /// Opens it for listing, wherever it is.
    ///
    /// # Errors
    /// As openat(2).
    pub(super) fn list(&self) -> Result<OwnedFd, Errno> {
        open::list_pinned(&self.pinned)
    }

    /// Gives it the mode that it had. Whoever may not do this could not have changed it.
    pub(super) fn restore_mode(&self) {
        let changed = open::identity(&self.pinned).is_ok_and(|(_, mode)| mode != self.mode);
        if changed {
            let _ = self.list().and_then(|dir| fchmod(dir, self.mode));
        }
    }
}
