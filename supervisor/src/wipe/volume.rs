//! What a volume brings along, and no job made.

use std::ffi::CStr;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::OnceLock;

use rustix::buffer::spare_capacity;
use rustix::fs::{AtFlags, FileType, flistxattr, fremovexattr, statat};

use super::open::{self, Opener};
use crate::sys::idmap;

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
/// It belongs to root; to nobody only where root has no place in our id map and nobody has none either,
/// for otherwise a job may own what nobody owns.
pub(super) fn is_lost_and_found(root: &impl AsFd, name: &CStr) -> bool {
    name == c"lost+found"
        && statat(root, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| {
            let directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            directory && (stat.st_uid == 0 || (stat.st_uid == OVERFLOW && !is_mapped(OVERFLOW)))
        })
}

/// What an id looks like that our map has no place for, kernel.overflowuid.
const OVERFLOW: u32 = 65534;

fn is_mapped(id: u32) -> bool {
    static MAP: OnceLock<Vec<idmap::Line>> = OnceLock::new();
    let map = MAP.get_or_init(|| {
        let text = std::fs::read_to_string(idmap::Kind::User.map_file("self"));
        idmap::parse_map(&text.unwrap_or_default())
    });
    map.iter()
        .any(|line| (line.inside..line.inside.saturating_add(line.count)).contains(&id))
}

/// Removes what a job may have written to a directory that stays: extended attributes of users.
///
/// Those of the system (ACLs, labels) may be the volume's own.
pub(super) fn forget_attributes(dir: &impl AsFd) {
    let mut names = Vec::with_capacity(64 * 1024);
    if flistxattr(dir, spare_capacity(&mut names)).is_err() {
        return;
    }
    let names = names.split(|&byte| byte == 0);
    for name in names.filter(|name| name.starts_with(b"user.")) {
        // Whoever may not do this could not have been asked to.
        let _ = fremovexattr(dir, name);
    }
}
