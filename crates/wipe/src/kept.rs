//! Directories held since before the job: whatever it did to their paths, what it left in them can be emptied.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, fchmod};
use rustix::io::Errno;

use super::open::{self, Identity, Opener};
use super::{path, root_and_home};

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
        match open::pin(opener, &self.path) {
            Ok(now) => open::identity(&now).is_ok_and(|(now, _)| now != self.identity),
            // Others, such as a want of descriptors, are no matter of the path.
            Err(errno) => {
                let of_the_path = [Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::ACCESS];
                of_the_path.contains(&errno)
            }
        }
    }

    /// Whether it may be wiped under its path, which no longer tells.
    pub(super) fn is_acceptable(&self) -> bool {
        path::accept(&self.path).is_ok() && root_and_home::not_the_machines(&self.pinned).is_ok()
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
