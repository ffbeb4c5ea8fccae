//! Removes one entry, and tries more if the kernel refuses.
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

/// The result for an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Removed {
    /// It was removed, which freed this many bytes.
    Freed(u64),
    /// Another process removed it.
    Absent,
    /// It is a directory, in spite of the listing.
    Directory,
}

/// Removes a file, or another entry that is no directory. Counts the freed bytes only if it is `counted`.
///
/// # Errors
/// As unlink(2), after the mode and the inode flags were changed.
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
/// `ENOTEMPTY` if it is not empty; else as rmdir(2), after the mode and the inode flags were changed.
pub(super) fn directory(
    parent: &Directory,
    name: &CStr,
    dir: &Directory,
) -> Result<Removed, Errno> {
    match once(parent, name, AtFlags::REMOVEDIR) {
        // Another process replaced it by another entry.
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

/// Returns the bytes that an unlink frees. Only the last link frees any.
fn freed(stat: &Stat) -> u64 {
    if stat.st_nlink > 1 {
        return 0;
    }
    u64::try_from(stat.st_blocks).unwrap_or(0) * 512
}

/// A file that was immutable or append-only, and its flags.
struct Unlocked {
    file: OwnedFd,
    flags: IFlags,
}

impl Unlocked {
    /// Restores the flags of a file that has other hard links, which do not belong to the job.
    fn lock_if_linked(self) {
        if fstat(&self.file).is_ok_and(|stat| stat.st_nlink > 0) {
            let _ = ioctl_setflags(&self.file, self.flags);
        }
    }
}

/// Clears the flags of a regular file. Other types are not opened, because opening a device or a fifo has an effect.
fn unlock_file(dir: &impl AsFd, name: &CStr) -> Option<Unlocked> {
    let pin = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let pinned = openat(dir, name, pin, Mode::empty()).ok()?;
    let stat = fstat(&pinned).ok()?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return None;
    }
    let link = openat::magic_link(&pinned).ok()?;
    // Without `O_NONBLOCK` it would wait for a lease on the file, fcntl(2).
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(CWD, link, flags, Mode::empty()).ok()?;
    let flags = clear_inode_flags(&file)?;
    Some(Unlocked { file, flags })
}
