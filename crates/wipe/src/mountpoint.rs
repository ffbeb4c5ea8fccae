//! Mount points, and what belongs to a volume and not to the job: `lost+found`, and attributes of the system.

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

/// Returns whether a file system is mounted at `path`, which is open as `fd`.
///
/// # Errors
/// As openat2(2), and as [`openat::mount_id`].
pub(super) fn is_mount_point(opener: Opener, path: &Path, fd: &impl AsFd) -> Result<bool, Errno> {
    let Some(parent) = path.parent() else {
        return Ok(true);
    };
    let parent = openat::pin(opener, parent)?;
    Ok(openat::mount_id(&parent)? != openat::mount_id(fd)?)
}

/// Returns whether `name` is the directory that mkfs.ext4 makes at the top of a volume, for e2fsck(8).
///
/// It belongs to root, or to uid 65534 if 65534 is not mapped here. If it were mapped, a job could own such a
/// directory.
pub(super) fn is_lost_and_found(root: &impl AsFd, name: &CStr) -> bool {
    name == c"lost+found"
        && statat(root, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| {
            let directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            directory
                && (stat.st_uid == 0 || (stat.st_uid == OVERFLOW_UID && !is_mapped(OVERFLOW_UID)))
        })
}

/// The uid that stat(2) returns for an id that is not in our map, kernel.overflowuid.
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

/// The most bytes of names that the kernel lists, XATTR_LIST_MAX.
const NAMES: usize = 64 * 1024;

/// Removes the extended attributes in the namespace `user`, which a job may have set on a directory that stays.
///
/// Attributes of the system (ACLs, labels) may belong to the volume.
///
/// # Errors
/// `E2BIG` if there are more than the kernel lists; else as removexattr(2).
pub(super) fn remove_user_attributes(dir: &impl AsFd) -> Result<(), Errno> {
    for name in users(&attributes(dir)?) {
        match fremovexattr(dir, name) {
            Ok(()) | Err(Errno::NODATA) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Returns whether there is an extended attribute in the namespace `user`.
///
/// # Errors
/// As [`remove_user_attributes`].
pub(super) fn has_user_attributes(dir: &impl AsFd) -> Result<bool, Errno> {
    Ok(users(&attributes(dir)?).next().is_some())
}

/// Does the same by path, in one call if there is no attribute. Returns true if they cannot be listed.
pub(super) fn may_have_user_attributes(path: &Path) -> bool {
    let mut names = Vec::with_capacity(1024);
    match llistxattr(path, spare_capacity(&mut names)) {
        Ok(_) => users(&names).next().is_some(),
        Err(errno) => !matches!(errno, Errno::NOTSUP | Errno::NOSYS),
    }
}

fn attributes(dir: &impl AsFd) -> Result<Vec<u8>, Errno> {
    // Most directories have no attributes, and then no memory is needed.
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
