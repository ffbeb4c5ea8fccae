//! Removing one entry, and what can be done when the kernel refuses.
//!
//! Sources: unlink(2), ioctl_iflags(2).

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{
    AtFlags, CWD, FileType, IFlags, Mode, OFlags, Stat, fstat, ioctl_setflags, openat, statat,
    unlinkat,
};
use rustix::io::Errno;

use super::directory::{Directory, clear_inode_flags};
use super::openat;

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Removed {
    /// It is gone, and so many bytes are free.
    Freed(u64),
    /// Somebody else removed it.
    Absent,
    /// It is a directory, whatever the listing said.
    Directory,
}

/// Removes what is no directory. How much that frees is only asked for where it is `counted`.
///
/// # Errors
/// As unlink(2), after all that can be done about it.
pub(super) fn file(dir: &Directory, name: &CStr, counted: bool) -> Result<Removed, Errno> {
    let bytes = if counted {
        statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map_or(0, |stat| freed(&stat))
    } else {
        0
    };
    match once(dir, name, AtFlags::empty()) {
        Err(errno @ (Errno::ACCESS | Errno::PERM)) => {
            dir.unlock();
            let unlocked = (errno == Errno::PERM).then(|| unlock_file(dir, name));
            let removed = once(dir, name, AtFlags::empty());
            if let Some(Some(file)) = unlocked {
                file.lock_if_linked();
            }
            removed
        }
        other => other,
    }
    .map(|removed| match removed {
        Removed::Freed(_) => Removed::Freed(bytes),
        other => other,
    })
}

/// Removes a directory that should be empty.
///
/// # Errors
/// `ENOTEMPTY` where it is not; else as rmdir(2), after all that can be done about it.
pub(super) fn directory(
    parent: &Directory,
    name: &CStr,
    dir: &Directory,
) -> Result<Removed, Errno> {
    match once(parent, name, AtFlags::REMOVEDIR) {
        // Somebody put another thing in its place.
        Err(Errno::NOTDIR) => file(parent, name, false),
        Err(Errno::EXIST) => Err(Errno::NOTEMPTY),
        Err(Errno::ACCESS | Errno::PERM) => {
            parent.unlock();
            dir.unlock();
            once(parent, name, AtFlags::REMOVEDIR)
        }
        other => other,
    }
}

fn once(dir: &Directory, name: &CStr, flags: AtFlags) -> Result<Removed, Errno> {
    match unlinkat(dir, name, flags) {
        Ok(()) => Ok(Removed::Freed(0)),
        Err(Errno::NOENT) => Ok(Removed::Absent),
        Err(Errno::ISDIR) => Ok(Removed::Directory),
        Err(errno) => Err(errno),
    }
}

/// Only the last link frees anything.
fn freed(stat: &Stat) -> u64 {
    if stat.st_nlink > 1 {
        return 0;
    }
    u64::try_from(stat.st_blocks).unwrap_or(0) * 512
}

/// A file that was immutable or append-only, and how.
struct Unlocked {
    file: OwnedFd,
    flags: IFlags,
}

impl Unlocked {
    /// A hard link elsewhere is not ours to change.
    fn lock_if_linked(self) {
        if fstat(&self.file).is_ok_and(|stat| stat.st_nlink > 0) {
            let _ = ioctl_setflags(&self.file, self.flags);
        }
    }
}

/// Clears the flags of a regular file. Anything else is not opened: opening a device or a fifo does something.
fn unlock_file(dir: &impl AsFd, name: &CStr) -> Option<Unlocked> {
    let pin = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let pinned = openat(dir, name, pin, Mode::empty()).ok()?;
    let stat = fstat(&pinned).ok()?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return None;
    }
    let link = openat::magic_link(&pinned).ok()?;
    // A lease on it would be waited for otherwise, fcntl(2).
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(CWD, link, flags, Mode::empty()).ok()?;
    let flags = clear_inode_flags(&file)?;
    Some(Unlocked { file, flags })
}
