//! The directories that are never wiped, by device and inode and not by path: `/` and the home directory of root.

use std::os::fd::OwnedFd;
use std::path::Path;

use linux::errno::name_of;
use rustix::fs::{fstat, stat};
use rustix::io::Errno;

use super::path::{self, Refusal};

pub(super) fn closed(errno: Errno) -> Refusal {
    Refusal::Closed(name_of(errno))
}

/// Rejects `/` and root's home even through a bind mount.
///
/// # Errors
/// Returns the [`Refusal`] of these directories.
pub(super) fn reject_root_and_home(pinned: &OwnedFd) -> Result<(), Refusal> {
    let own = fstat(pinned).map_err(closed)?;
    let is_own = |path: &Path| {
        stat(path).is_ok_and(|found| (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino))
    };
    if is_own(Path::new("/")) {
        Err(Refusal::System)
    } else if path::home_of_root().is_some_and(|home| is_own(home)) {
        Err(Refusal::HomeOfRoot)
    } else {
        Ok(())
    }
}
