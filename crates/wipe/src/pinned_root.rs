//! Roots that are pinned since before the job, so that they can be emptied whatever the job did to their paths.

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
    /// Pins the directory that is at `path` now.
    ///
    /// # Errors
    /// As openat2(2), fstat(2) and statx(2).
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

    /// Returns whether its path leads to another directory now, or to no directory.
    pub(super) fn path_changed(&self, opener: Opener) -> bool {
        match openat::pin(opener, &self.path) {
            Ok(now) => openat::identity(&now).is_ok_and(|(now, _)| now != self.identity),
            // Only these errors mean that the path changed. Others (EMFILE, for example) do not depend on the path.
            Err(errno) => {
                let of_the_path = [Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::ACCESS];
                of_the_path.contains(&errno)
            }
        }
    }

    /// Returns whether it may be wiped. It is checked itself, because its path leads to another place now.
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

    /// Restores its mode. If permission is denied, the job could not have changed the mode either.
    pub(super) fn restore_mode(&self) {
        let changed = openat::identity(&self.pinned).is_ok_and(|(_, mode)| mode != self.mode);
        if changed {
            let _ = self.open().and_then(|dir| fchmod(dir, self.mode));
        }
    }
}
