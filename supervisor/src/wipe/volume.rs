//! What a volume brings along, and no job made.

use std::ffi::CStr;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, statat};

use super::open::{self, Opener};

/// Whether `path`, open as `fd`, is where a file system is mounted.
pub(super) fn is_mount_point(opener: Opener, path: &Path, fd: &impl AsFd) -> bool {
    let Some(parent) = path.parent() else {
        return true;
    };
    let parent = open::pin(opener, parent).and_then(|parent| open::mount_id(&parent));
    match (parent, open::mount_id(fd)) {
        (Ok(parent), Ok(own)) => parent != own,
        _ => false,
    }
}

/// Whether `name` is the directory that mkfs.ext4 makes at the top of a volume, for e2fsck(8).
///
/// It belongs to root, or to nobody where root has no place in our id map.
pub(super) fn is_lost_and_found(root: &impl AsFd, name: &CStr) -> bool {
    const OVERFLOW: u32 = 65534;
    name == c"lost+found"
        && statat(root, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| {
            let directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            directory && [0, OVERFLOW].contains(&stat.st_uid)
        })
}
