//! The type of the file system at a path, by the magic numbers of statfs(2) and linux/magic.h.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{StatFs, fstatfs, statfs};
use rustix::io::Errno;

/// The type of a file system, as far as the storage of builds and the wipe care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FsType {
    /// overlayfs, aufs or ecryptfs, with its name. overlayfs cannot be stacked on them.
    Stacked(&'static str),
    /// A network file system, with its name. It has no extended attributes of its own, or no foreign owners.
    Network(&'static str),
    /// tmpfs or ramfs.
    Memory,
    /// Any other file system, with its magic number.
    Other(u64),
}

impl FsType {
    /// A file system in user space, fuse(4).
    pub const FUSE: Self = Self::Other(0x6573_5546);
    const PROC: Self = Self::Other(0x9fa0);

    fn from_magic(magic: u64) -> Self {
        match magic {
            0x794c_7630 => Self::Stacked("overlay"),
            0x6175_6673 => Self::Stacked("aufs"),
            0xf15f => Self::Stacked("ecryptfs"),
            0x0102_1994 | 0x8584_58f6 => Self::Memory,
            0x6969 => Self::Network("NFS"),
            0x517b | 0xff53_4d42 | 0xfe53_4d42 => Self::Network("SMB"),
            0x00c3_6400 => Self::Network("CephFS"),
            0x0bd0_0bd0 => Self::Network("Lustre"),
            0x4750_4653 => Self::Network("GPFS"),
            0x5346_414f | 0x6b41_4653 => Self::Network("AFS"),
            0x564c => Self::Network("NCP"),
            0x7461_636f => Self::Network("OCFS2"),
            0xaad7_aaea => Self::Network("PanFS"),
            0x786f_4256 => Self::Network("vboxsf"),
            other => Self::Other(other),
        }
    }

    /// Returns the name that mount(8) uses, or the magic number if it is unknown.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Stacked(name) | Self::Network(name) => name.to_owned(),
            Self::Memory => "tmpfs".to_owned(),
            Self::FUSE => "fuse".to_owned(),
            Self::Other(0xef53) => "ext4".to_owned(),
            Self::Other(0x5846_5342) => "xfs".to_owned(),
            Self::Other(0x9123_683e) => "btrfs".to_owned(),
            Self::Other(0x0102_1997) => "9p".to_owned(),
            Self::Other(magic) => format!("file system {magic:#x}"),
        }
    }
}

/// Returns the type of the file system that holds `path`.
///
/// # Errors
/// As statfs(2).
pub fn fs_type(path: &Path) -> Result<FsType, Errno> {
    statfs(path).map(|found| FsType::from_magic(magic(&found)))
}

/// Returns whether `path` lies in procfs, and not in a file system that is mounted over it.
///
/// # Errors
/// As statfs(2).
pub fn is_procfs(path: &Path) -> Result<bool, Errno> {
    fs_type(path).map(|found| found == FsType::PROC)
}

/// Returns the free bytes of the file system of `fd` if it is in memory, and `None` for any other.
#[must_use]
pub fn free_memory(fd: &impl AsFd) -> Option<u64> {
    let found = fstatfs(fd).ok()?;
    let block = u64::try_from(found.f_bsize).ok()?;
    let in_memory = FsType::from_magic(magic(&found)) == FsType::Memory;
    in_memory.then_some(found.f_bfree.saturating_mul(block))
}

/// Returns whether files in `path` can have extended attributes in the namespace `user`, xattr(7).
///
/// An overlay in a user namespace needs them. tmpfs has them since Linux 6.6, ramfs never has them.
#[must_use]
pub fn has_user_attributes(path: &Path) -> bool {
    let read = rustix::fs::getxattr(path, "user.overlay.opaque", &mut [0_u8; 1][..]);
    read.err() != Some(Errno::OPNOTSUPP)
}

/// Returns the number of linux/magic.h, which has 32 bits. The kernel's field is signed on some architectures.
fn magic(found: &StatFs) -> u64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let number = found.f_type as u32;
    u64::from(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_attributes_depend_on_the_file_system() {
        assert!(!has_user_attributes(Path::new("/proc")));
        assert!(has_user_attributes(Path::new(".")));
    }

    #[test]
    fn magic_numbers_have_names() {
        assert_eq!(FsType::from_magic(0x794c_7630), FsType::Stacked("overlay"));
        assert_eq!(FsType::from_magic(0x6969), FsType::Network("NFS"));
        assert_eq!(FsType::from_magic(0xef53).name(), "ext4");
        assert_eq!(FsType::from_magic(1).name(), "file system 0x1");
        assert_eq!(is_procfs(Path::new("/proc")), Ok(true));
        assert_eq!(is_procfs(Path::new("/")), Ok(false));
    }
}
