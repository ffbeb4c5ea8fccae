//! Opens directories so that no symlink, rename or mount leads to another place.
//!
//! Sources: openat2(2), statx(2), proc_pid_fdinfo(5).

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::OnceLock;

use linux::filesystem::is_procfs;
use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, ResolveFlags, StatxFlags, chmodat, fstat, openat, openat2, statx,
};
use rustix::io::Errno;

const LIST: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
const PIN: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
const INSIDE: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_XDEV);

/// How directories are opened on this kernel, under this seccomp profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opener {
    /// openat2(2): the kernel itself refuses to leave the mount.
    Openat2,
    /// openat(2) with `O_NOFOLLOW` on single names, and a comparison of mount ids after each.
    Checked,
}

impl Opener {
    /// Returns what works here. It is tried once.
    pub(super) fn find() -> Self {
        static FOUND: OnceLock<Opener> = OnceLock::new();
        *FOUND.get_or_init(|| {
            match openat2(CWD, c"/", PIN, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
                // ENOSYS: Linux before 5.6. EPERM: seccomp profiles of that time.
                Err(_) => Self::Checked,
                Ok(_) => Self::Openat2,
            }
        })
    }

    /// Opens the directory `name` of `dir` for listing.
    ///
    /// # Errors
    /// `EXDEV` if a file system is mounted on it, `ELOOP` or `ENOTDIR` if it is no directory, else as openat2(2).
    pub(super) fn child(self, dir: &impl AsFd, name: &CStr) -> Result<OwnedFd, Errno> {
        self.open(dir.as_fd(), name, LIST)
    }

    /// Makes the directory `name` of `dir` readable and writable for its owner, which may be this process.
    ///
    /// # Errors
    /// As openat2(2) and chmod(2).
    pub(super) fn unlock(self, dir: &impl AsFd, name: &CStr) -> Result<(), Errno> {
        unlock(&self.open(dir.as_fd(), name, PIN)?)
    }

    fn open(self, dir: BorrowedFd<'_>, name: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
        if self == Self::Openat2 {
            return openat2(dir, name, flags, Mode::empty(), INSIDE);
        }
        let opened = openat(dir, name, flags, Mode::empty())?;
        if mount_id(&opened)? == mount_id(&dir)? {
            Ok(opened)
        } else {
            Err(Errno::XDEV)
        }
    }
}

/// Opens the directory `path`, which is absolute and normalized, and contains no symlink. It may cross mounts.
///
/// # Errors
/// `ELOOP` or `ENOTDIR` for a symlink or a file on the way, else as openat2(2).
pub(super) fn open_root(opener: Opener, path: &Path) -> Result<OwnedFd, Errno> {
    walk_to(opener, path, LIST)
}

/// Makes the directory `path` readable and writable for its owner.
///
/// # Errors
/// As [`open_root`] and chmod(2).
pub(super) fn unlock_root(opener: Opener, path: &Path) -> Result<(), Errno> {
    unlock(&pin(opener, path)?)
}

/// Goes through the magic link, because fchmod(2) refuses `O_PATH` descriptors.
fn unlock(pinned: &OwnedFd) -> Result<(), Errno> {
    chmodat(CWD, magic_link(pinned)?, Mode::RWXU, AtFlags::empty())
}

/// Returns the magic link of a descriptor, which leads to what is pinned and to no other file.
///
/// A job may mount another file system with other links on `/proc`, so only procfs counts.
///
/// # Errors
/// `ENOENT` if there is no procfs, else as statfs(2).
pub(super) fn magic_link(fd: &impl AsFd) -> Result<String, Errno> {
    let link = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
    if is_procfs(Path::new("/proc/self/fd"))? {
        Ok(link)
    } else {
        Err(Errno::NOENT)
    }
}

/// Opens a directory again, with its listing at the begin.
///
/// # Errors
/// As openat(2).
pub(super) fn reopen(dir: &impl AsFd) -> Result<OwnedFd, Errno> {
    openat(dir, c".", LIST, Mode::empty())
}

/// Opens a pinned directory for listing. Unlocks it if necessary.
///
/// # Errors
/// As openat(2) and chmod(2).
pub(super) fn list_pinned(pinned: &OwnedFd) -> Result<OwnedFd, Errno> {
    match reopen(pinned) {
        Err(Errno::ACCESS) => {
            unlock(pinned)?;
            reopen(pinned)
        }
        opened => opened,
    }
}

/// Opens the directory `path` without the right to list it, open(2) `O_PATH`.
///
/// # Errors
/// As [`open_root`].
pub(super) fn pin(opener: Opener, path: &Path) -> Result<OwnedFd, Errno> {
    walk_to(opener, path, PIN)
}

/// Does the same for a file of any type, because a file can be a mount point too.
///
/// # Errors
/// As [`open_root`].
pub(super) fn pin_any(opener: Opener, path: &Path) -> Result<OwnedFd, Errno> {
    walk_to(opener, path, PIN - OFlags::DIRECTORY)
}

fn walk_to(opener: Opener, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    if opener == Opener::Openat2 {
        let resolve = ResolveFlags::NO_SYMLINKS;
        return openat2(CWD, path, flags, Mode::empty(), resolve);
    }
    let names: Vec<&[u8]> = path
        .as_os_str()
        .as_bytes()
        .split(|&byte| byte == b'/')
        .collect();
    let names: Vec<&[u8]> = names.into_iter().filter(|name| !name.is_empty()).collect();
    let mut here = openat(
        CWD,
        c"/",
        if names.is_empty() { flags } else { PIN },
        Mode::empty(),
    )?;
    for (at, name) in names.iter().enumerate() {
        let last = at + 1 == names.len();
        here = openat(&here, *name, if last { flags } else { PIN }, Mode::empty())?;
    }
    Ok(here)
}

/// Identifies a directory at whatever path it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    mount: u64,
    device: u64,
    inode: u64,
}

/// Returns the identity of the directory `fd` and its mode.
///
/// # Errors
/// As fstat(2) and [`mount_id`].
pub(super) fn identity(fd: &impl AsFd) -> Result<(Identity, Mode), Errno> {
    let stat = fstat(fd)?;
    let identity = Identity {
        mount: mount_id(fd)?,
        device: stat.st_dev,
        inode: stat.st_ino,
    };
    Ok((identity, Mode::from_raw_mode(stat.st_mode)))
}

/// Returns the id of the mount that `fd` lies on.
///
/// # Errors
/// As statx(2); `ENODATA` if neither statx(2) nor `/proc` has the id.
pub(super) fn mount_id(fd: &impl AsFd) -> Result<u64, Errno> {
    let fd = fd.as_fd();
    // The flag avoids a request to a file system in user space, which may have no server any more.
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    if let Ok(found) = statx(fd, c"", flags, StatxFlags::MNT_ID)
        && found.stx_mask & StatxFlags::MNT_ID.bits() != 0
    {
        return Ok(found.stx_mnt_id);
    }
    mount_id_of_fdinfo(fd)
}

/// Linux before 5.8 does not report the id, and a seccomp profile may refuse statx(2).
fn mount_id_of_fdinfo(fd: BorrowedFd<'_>) -> Result<u64, Errno> {
    let path = format!("/proc/self/fdinfo/{}", fd.as_raw_fd());
    let text = std::fs::read_to_string(path).map_err(|_| Errno::NODATA)?;
    let line = text.lines().find_map(|line| line.strip_prefix("mnt_id:"));
    let number = line.and_then(|number| number.trim().parse().ok());
    number.ok_or(Errno::NODATA)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    const BOTH: [Opener; 2] = [Opener::Openat2, Opener::Checked];

    #[test]
    fn open_root_follows_no_symlink_in_a_path() {
        let place = tempfile::tempdir().unwrap();
        let real = place.path().join("real/below");
        std::fs::create_dir_all(&real).unwrap();
        symlink(place.path().join("real"), place.path().join("link")).unwrap();
        for opener in BOTH {
            assert!(open_root(opener, &real).is_ok());
            for path in ["link", "link/below"] {
                let error = open_root(opener, &place.path().join(path)).unwrap_err();
                assert!(
                    [Errno::LOOP, Errno::NOTDIR].contains(&error),
                    "{opener:?} {path}: {error}"
                );
            }
            let dir = open_root(opener, place.path()).unwrap();
            assert!(opener.child(&dir, c"real").is_ok());
            assert!(opener.child(&dir, c"link").is_err());
        }
    }

    #[test]
    fn child_refuses_a_mount_point() {
        for opener in BOTH {
            let dir = open_root(opener, Path::new("/")).unwrap();
            assert_eq!(opener.child(&dir, c"proc").unwrap_err(), Errno::XDEV);
        }
    }

    #[test]
    fn mount_id_agrees_with_fdinfo() {
        let dir = open_root(Opener::find(), Path::new("/proc")).unwrap();
        assert_eq!(mount_id(&dir), mount_id_of_fdinfo(dir.as_fd()));
    }

    #[test]
    fn unlock_opens_a_directory_without_permissions() {
        let place = tempfile::tempdir().unwrap();
        let closed = place.path().join("closed");
        std::fs::create_dir(&closed).unwrap();
        for opener in BOTH {
            std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o0)).unwrap();
            let dir = open_root(opener, place.path()).unwrap();
            opener.unlock(&dir, c"closed").unwrap();
            let mode = std::fs::metadata(&closed).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700);
        }
    }
}
