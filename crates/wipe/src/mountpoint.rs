//! What a volume brings along, and no job made.

use std::ffi::CStr;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::OnceLock;

use rustix::buffer::spare_capacity;
use rustix::fs::{
    AtFlags, FileType, flistxattr, flistxattr_query, fremovexattr, llistxattr, statat,
};
use rustix::io::Errno;

use super::openat::{self, Opener};
use linux::idmap;

/// Whether `path`, open as `fd`, is where a file system is mounted.
///
/// # Errors
/// As openat2(2), and where nothing tells the mounts' ids.
pub(super) fn is_mount_point(opener: Opener, path: &Path, fd: &impl AsFd) -> Result<bool, Errno> {
    let Some(parent) = path.parent() else {
        return Ok(true);
    };
    let parent = openat::pin(opener, parent)?;
    Ok(openat::mount_id(&parent)? != openat::mount_id(fd)?)
}

/// Whether `name` is the directory that mkfs.ext4 makes at the top of a volume, for e2fsck(8).
///
/// It belongs to root; to nobody only where root has no place in our id map and nobody has none either,
/// for otherwise a job may own what nobody owns.
pub(super) fn is_lost_and_found(root: &impl AsFd, name: &CStr) -> bool {
    name == c"lost+found"
        && statat(root, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| {
            let directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            directory
                && (stat.st_uid == 0 || (stat.st_uid == OVERFLOW_UID && !is_mapped(OVERFLOW_UID)))
        })
}

/// What an id looks like that our map has no place for, kernel.overflowuid.
const OVERFLOW_UID: u32 = 65534;

fn is_mapped(id: u32) -> bool {
    static MAP: OnceLock<Vec<idmap::IdMapping>> = OnceLock::new();
    let map = MAP.get_or_init(|| {
        let text = std::fs::read_to_string(idmap::IdType::User.map_file("self"));
        idmap::parse_map(&text.unwrap_or_default())
    });
    map.iter()
        .any(|line| (line.inside..line.inside.saturating_add(line.count)).contains(&id))
}

/// As many bytes of names as the kernel ever lists, XATTR_LIST_MAX.
const NAMES: usize = 64 * 1024;

/// Removes what a job may have written to a directory that stays: extended attributes of users.
///
/// Those of the system (ACLs, labels) may be the volume's own.
///
/// # Errors
/// `E2BIG` where the kernel does not list them, for there are too many; else as removexattr(2).
pub(super) fn remove_user_attributes(dir: &impl AsFd) -> Result<(), Errno> {
    for name in users(&attributes(dir)?) {
        match fremovexattr(dir, name) {
            Ok(()) | Err(Errno::NODATA) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Whether such an attribute is there.
///
/// # Errors
/// As [`remove_user_attributes`].
pub(super) fn has_user_attributes(dir: &impl AsFd) -> Result<bool, Errno> {
    Ok(users(&attributes(dir)?).next().is_some())
}

/// The same by path and sooner, for a directory that mostly has none: true where it cannot be told.
pub(super) fn may_have_user_attributes(path: &Path) -> bool {
    let mut names = Vec::with_capacity(1024);
    match llistxattr(path, spare_capacity(&mut names)) {
        Ok(_) => users(&names).next().is_some(),
        Err(errno) => !matches!(errno, Errno::NOTSUP | Errno::NOSYS),
    }
}

fn attributes(dir: &impl AsFd) -> Result<Vec<u8>, Errno> {
    // Mostly there are none, and then no memory is needed.
    let mut names = Vec::new();
    let listed = match flistxattr_query(dir) {
        Ok(0) => Ok(0),
        Ok(_) => {
            names.reserve_exact(NAMES);
            flistxattr(dir, spare_capacity(&mut names))
        }
        Err(errno) => Err(errno),
    };
    match listed {
        Ok(_) | Err(Errno::NOTSUP | Errno::NOSYS) => Ok(names),
        Err(errno) => Err(errno),
    }
}

fn users(names: &[u8]) -> impl Iterator<Item = &[u8]> {
    let names = names.split(|&byte| byte == 0);
    names.filter(|name| name.starts_with(b"user."))
}
