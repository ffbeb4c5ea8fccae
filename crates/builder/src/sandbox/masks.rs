//! Covers ignored files with empty ones, if a view has no overlay mount.

use std::fs::{File, create_dir_all};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};

use super::ignored::{Ignored, open_beneath};
use super::mounts::{DATA, READ_ONLY, bind_over, mount_tmpfs, restrict};
use crate::error::SandboxError;

/// The most files that are covered. Each is a mount, of which a namespace has at most 100,000: `fs.mount-max`.
const MAX_MASKS: usize = 10_000;

/// Covers files of the context that is mounted at `place`. `empty` is a new directory.
///
/// # Errors
/// [`SandboxError::TooManyMasks`], or as mount(2).
pub(super) fn cover(place: &Path, ignored: &[Ignored], empty: &Path) -> Result<(), SandboxError> {
    if ignored.len() > MAX_MASKS {
        return Err(SandboxError::TooManyMasks(MAX_MASKS));
    }
    let at = |errno| SandboxError::at(place)(errno);
    let root = openat(CWD, place, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(at)?;
    let (file, directory) = empty_ones(empty)?;
    for Ignored { path, .. } in ignored {
        // One that the job has removed meanwhile needs no cover.
        let Ok(target) = open_beneath(&root, path, OFlags::PATH) else {
            continue;
        };
        let status = fstat(&target).map_err(at)?;
        let empty = match FileType::from_raw_mode(status.st_mode) {
            FileType::Directory => &directory,
            // A symlink has no content, and no mount can cover it.
            FileType::Symlink => continue,
            _ => &file,
        };
        bind_over(empty, &target)?;
    }
    Ok(())
}

/// Returns an empty file and an empty directory in a new read-only tmpfs at `place`. What is bound from there is read-only too.
fn empty_ones(place: &Path) -> Result<(OwnedFd, OwnedFd), SandboxError> {
    create_dir_all(place).map_err(SandboxError::at(place))?;
    mount_tmpfs(place)?;
    let (file, directory) = (place.join("file"), place.join("directory"));
    File::create(&file).map_err(SandboxError::at(&file))?;
    create_dir_all(&directory).map_err(SandboxError::at(&directory))?;
    restrict(place, READ_ONLY | DATA)?;
    let open = |path: &Path| {
        openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
            .map_err(SandboxError::at(path))
    };
    Ok((open(&file)?, open(&directory)?))
}
