//! Directories held since before the job: whatever it did to their paths, what it left in them can be emptied.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, fchmod};
use rustix::io::Errno;

use super::openat::{self, Identity, Opener};
use super::{path, root_and_home};

/// A root as it was before the job.
#[derive(Debug)]
pub(super) struct PinnedRoot {
    pub(super) path: PathBuf,
    /// Whether a file system is mounted there.
    pub(super) is_mount_point: bool,
    pinned: OwnedFd,
    identity: Identity,
    mode: Mode,
}

impl PinnedRoot {
    /// Holds the directory that there is now.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn pin(opener: Opener, path: &Path, is_mount_point: bool) -> Result<Self, Errno> {
        let pinned = openat::pin(opener, path)?;
        let (identity, mode) = openat::identity(&pinned)?;
        Ok(Self {
            path: path.to_owned(),
            is_mount_point,
            pinned,
            identity,
            mode,
        })
    }

    /// Whether its path leads elsewhere now, or nowhere.
    pub(super) fn path_changed(&self, opener: Opener) -> bool {
        match openat::pin(opener, &self.path) {
            Ok(now) => openat::identity(&now).is_ok_and(|(now, _)| now != self.identity),
            // Others, such as a want of descriptors, are no matter of the path.
            Err(errno) => {
                let of_the_path = [Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::ACCESS];
                of_the_path.contains(&errno)
            }
        }
    }

    /// Whether it may be wiped under its path, which no longer tells.
    pub(super) fn may_be_wiped(&self) -> bool {
        path::accept(&self.path).is_ok()
            && root_and_home::reject_root_and_home(&self.pinned).is_ok()
    }

    /// Opens it for listing, wherever it is.
    ///
    /// # Errors
    /// As openat(2).
    pub(super) fn open(&self) -> Result<OwnedFd, Errno> {
        openat::list_pinned(&self.pinned)
    }

    /// Gives it the mode that it had. Whoever may not do this could not have changed it.
    pub(super) fn restore_mode(&self) {
        let changed = openat::identity(&self.pinned).is_ok_and(|(_, mode)| mode != self.mode);
        if changed {
            let _ = self.open().and_then(|dir| fchmod(dir, self.mode));
        }
    }
}
