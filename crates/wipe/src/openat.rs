//! Opening directories so that no symlink, rename or mount leads anywhere else.
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
    /// The kernel itself refuses to leave the mount.
    Openat2,
    /// `O_NOFOLLOW` on single names, and the mount's id compared after each.
    Checked,
}

impl Opener {
    /// What works here, tried once.
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
    /// `EXDEV` where something is mounted on it, `ELOOP` or `ENOTDIR` where it is no directory, else as openat2(2).
    pub(super) fn child(self, dir: &impl AsFd, name: &CStr) -> Result<OwnedFd, Errno> {
        self.open(dir.as_fd(), name, LIST)
    }

    /// Makes the directory `name` of `dir` readable and writable for its owner, which we may be.
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

/// Opens `path`, absolute and clean, with no symlink anywhere in it. MountSnapshot may be crossed on the way.
///
/// # Errors
/// `ELOOP` or `ENOTDIR` for a symlink or a file on the way, else as openat2(2).
pub(super) fn open_root(opener: Opener, path: &Path) -> Result<OwnedFd, Errno> {
    walk_to(opener, path, LIST)
}

/// Makes the directory `path` readable and writable for its owner.
///
/// # Errors
/// As [`open_root`], and chmod(2).
pub(super) fn unlock_root(opener: Opener, path: &Path) -> Result<(), Errno> {
    unlock(&pin(opener, path)?)
}

/// fchmod(2) refuses O_PATH descriptors.
fn unlock(pinned: &OwnedFd) -> Result<(), Errno> {
    chmodat(CWD, magic_link(pinned)?, Mode::RWXU, AtFlags::empty())
}

/// The magic link of a descriptor, which leads to what is pinned and nowhere else: the kernel's own, for a job
/// may have put other links in the place of /proc.
///
/// # Errors
/// `ENOENT` where there is none, else as statfs(2).
pub(super) fn magic_link(fd: &impl AsFd) -> Result<String, Errno> {
    let link = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
    if is_procfs(Path::new("/proc/self/fd"))? {
        Ok(link)
    } else {
        Err(Errno::NOENT)
    }
}

/// Opens a directory once more, at the begin of its listing.
///
/// # Errors
/// As openat(2).
pub(super) fn reopen(dir: &impl AsFd) -> Result<OwnedFd, Errno> {
    openat(dir, c".", LIST, Mode::empty())
}

/// Opens a pinned directory for listing.
///
/// # Errors
/// As openat(2), and chmod(2).
pub(super) fn list_pinned(pinned: &OwnedFd) -> Result<OwnedFd, Errno> {
    match reopen(pinned) {
        Err(Errno::ACCESS) => {
            unlock(pinned)?;
            reopen(pinned)
        }
        opened => opened,
    }
}

/// The same without the right to list.
///
/// # Errors
/// As [`open_root`].
pub(super) fn pin(opener: Opener, path: &Path) -> Result<OwnedFd, Errno> {
    walk_to(opener, path, PIN)
}

/// The same for anything, of whatever type: files can be mount points too.
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

/// What makes a directory itself, wherever it is mounted or moved to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    mount: u64,
    device: u64,
    inode: u64,
}

/// Which directory `fd` is, and its mode.
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

/// The id of the mount that `fd` lies on.
///
/// # Errors
/// As statx(2); `ENODATA` where neither statx nor /proc tells.
pub(super) fn mount_id(fd: &impl AsFd) -> Result<u64, Errno> {
    let fd = fd.as_fd();
    // A file system in user space may have nobody left to answer: it is not asked.
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    if let Ok(found) = statx(fd, c"", flags, StatxFlags::MNT_ID) {
        if found.stx_mask & StatxFlags::MNT_ID.bits() != 0 {
            return Ok(found.stx_mnt_id);
        }
    }
    mount_id_of_fdinfo(fd)
}

/// Linux before 5.8, or a seccomp profile without statx.
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
    fn a_symlink_is_not_followed_at_any_place_of_a_path() {
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
    fn a_mount_is_not_entered() {
        for opener in BOTH {
            let dir = open_root(opener, Path::new("/")).unwrap();
            assert_eq!(opener.child(&dir, c"proc").unwrap_err(), Errno::XDEV);
        }
    }

    #[test]
    fn both_sources_agree_on_a_mounts_id() {
        let dir = open_root(Opener::find(), Path::new("/proc")).unwrap();
        assert_eq!(mount_id(&dir), mount_id_of_fdinfo(dir.as_fd()));
    }

    #[test]
    fn a_directory_without_permissions_is_opened_up() {
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
