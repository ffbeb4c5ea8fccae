//! What kind of file system a path lies on, by the magic numbers of statfs(2) and linux/magic.h.

use std::path::Path;

use nix::errno::Errno;
use nix::sys::statfs::{Statfs, statfs};

/// File systems that a build's storage cares about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FsType {
    /// overlayfs itself, aufs or ecryptfs: overlayfs does not stack on them.
    Stacked(&'static str),
    /// A network file system: no xattrs of its own or no foreign owners.
    Network(&'static str),
    /// tmpfs or ramfs.
    Memory,
    /// Any other.
    Other(u64),
}

/// The kind of the file system that holds `path`.
///
/// # Errors
/// As statfs(2).
pub fn fs_type(path: &Path) -> Result<FsType, Errno> {
    statfs(path).map(|found| from_magic(magic(&found)))
}

/// Whether files in `path` may have extended attributes of users, as an overlay in a user namespace needs them: tmpfs
/// has them since Linux 6.6, ramfs never.
#[must_use]
pub fn has_user_attributes(path: &Path) -> bool {
    let asked = rustix::fs::getxattr(path, "user.overlay.opaque", &mut [0_u8; 1][..]);
    asked.err() != Some(rustix::io::Errno::OPNOTSUPP)
}

/// The magic number as linux/magic.h has it; the kernel's field is signed on some architectures.
fn magic(found: &Statfs) -> u64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let number = found.filesystem_type().0 as u32;
    u64::from(number)
}

fn from_magic(magic: u64) -> FsType {
    match magic {
        0x794c_7630 => FsType::Stacked("overlay"),
        0x6175_6673 => FsType::Stacked("aufs"),
        0xf15f => FsType::Stacked("ecryptfs"),
        0x0102_1994 | 0x8584_58f6 => FsType::Memory,
        0x6969 => FsType::Network("NFS"),
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => FsType::Network("SMB"),
        0x00c3_6400 => FsType::Network("CephFS"),
        0x0bd0_0bd0 => FsType::Network("Lustre"),
        0x4750_4653 => FsType::Network("GPFS"),
        0x5346_414f | 0x6b41_4653 => FsType::Network("AFS"),
        0x564c => FsType::Network("NCP"),
        0x7461_636f => FsType::Network("OCFS2"),
        0xaad7_aaea => FsType::Network("PanFS"),
        0x786f_4256 => FsType::Network("vboxsf"),
        other => FsType::Other(other),
    }
}

impl FsType {
    /// Its name for people.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Stacked(name) | Self::Network(name) => name.to_owned(),
            Self::Memory => "tmpfs".to_owned(),
            Self::Other(0xef53) => "ext4".to_owned(),
            Self::Other(0x5846_5342) => "xfs".to_owned(),
            Self::Other(0x9123_683e) => "btrfs".to_owned(),
            Self::Other(0x6573_5546) => "fuse".to_owned(),
            Self::Other(0x0102_1997) => "9p".to_owned(),
            Self::Other(magic) => format!("file system {magic:#x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_every_file_system_has_attributes_of_users() {
        assert!(!has_user_attributes(Path::new("/proc")));
        assert!(has_user_attributes(Path::new(".")));
    }

    #[test]
    fn magic_numbers_have_names() {
        assert_eq!(from_magic(0x794c_7630), FsType::Stacked("overlay"));
        assert_eq!(from_magic(0x6969), FsType::Network("NFS"));
        assert_eq!(from_magic(0xef53).name(), "ext4");
        assert_eq!(from_magic(1).name(), "file system 0x1");
        assert!(matches!(
            fs_type(Path::new("/proc")),
            Ok(FsType::Other(0x9fa0))
        ));
    }
}
