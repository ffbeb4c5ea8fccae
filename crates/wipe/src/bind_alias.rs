//! Finds directories of the system that a bind mount shows under other names.
//!
//! Source: proc_pid_mountinfo(5), "root of the mount within the filesystem".

use std::path::{Path, PathBuf};

use super::mountinfo::Mount;
use super::path::{self, Refusal, SHARED_MEMORY, SYSTEM_DIRECTORIES, SYSTEM_TREES, lies_in};

/// A directory by its path within its file system.
#[derive(Debug, PartialEq, Eq)]
struct FsLocation<'a> {
    device: &'a str,
    path: PathBuf,
}

impl FsLocation<'_> {
    fn lies_in(&self, other: &Self) -> bool {
        self.device == other.device && lies_in(&self.path, &other.path)
    }
}

/// Returns why `path`, which lies on the mount `id`, may not be wiped under this name.
pub(super) fn find_refusal(mounts: &[Mount], id: u64, path: &Path) -> Option<Refusal> {
    let Some(own) = mounts.iter().find(|mount| mount.id == id) else {
        // The list does not contain the mount, so it is unknown what the mount shows.
        return Some(Refusal::System);
    };
    // Directories on other file systems are no part of this one.
    let device = &own.device;
    let own = location_on(own, path)?;
    let locations = |names: &'static [&str]| {
        let locations = names
            .iter()
            .map(|name| location(mounts, device, Path::new(name)));
        locations.flatten()
    };
    if path::home_of_root().is_some_and(|home| {
        let home = location(mounts, device, home);
        home.is_some_and(|home| home.lies_in(&own))
    }) {
        return Some(Refusal::HomeOfRoot);
    }
    let in_tree = locations(&SYSTEM_TREES).any(|tree| own.lies_in(&tree));
    let shared_memory = || locations(&SHARED_MEMORY).any(|memory| own.lies_in(&memory));
    let above_tree = || locations(&SYSTEM_TREES).any(|tree| tree.lies_in(&own));
    let directory = || locations(&SYSTEM_DIRECTORIES).any(|directory| directory == own);
    let system = (in_tree && !shared_memory()) || above_tree() || directory();
    system.then_some(Refusal::System)
}

/// Returns the location of `path` if it is on this device. The last of several mounts on one point counts.
fn location<'a>(mounts: &'a [Mount], device: &str, path: &Path) -> Option<FsLocation<'a>> {
    let above = mounts.iter().filter(|mount| lies_in(path, &mount.point));
    let covering = above.max_by_key(|mount| mount.point.as_os_str().len())?;
    (covering.device == device).then(|| location_on(covering, path))?
}

fn location_on<'a>(mount: &'a Mount, path: &Path) -> Option<FsLocation<'a>> {
    let rest = path.strip_prefix(&mount.point).ok()?;
    // A path joined with an empty one would end in a slash.
    let path = if rest.as_os_str().is_empty() {
        mount.root.clone()
    } else {
        mount.root.join(rest)
    };
    Some(FsLocation {
        device: &mount.device,
        path,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mountinfo;

    const MOUNTINFO: &[u8] = b"22 1 254:0 / / rw - ext4 /dev/root rw\n\
        23 22 0:6 / /dev rw - devtmpfs devtmpfs rw\n\
        24 23 0:30 / /dev/shm rw - tmpfs tmpfs rw\n\
        30 22 254:0 / /mnt/all rw - ext4 /dev/root rw\n\
        31 22 254:0 /usr/lib /mnt/lib rw - ext4 /dev/root rw\n\
        32 22 254:0 /work/one /mnt/one rw - ext4 /dev/root rw\n\
        33 22 254:0 /var /mnt/var rw - ext4 /dev/root rw\n\
        34 22 254:0 /root /mnt/home rw - ext4 /dev/root rw\n\
        35 22 254:1 / /mnt/disk rw - ext4 /dev/disk rw\n\
        36 22 0:30 /below /mnt/memory rw - tmpfs tmpfs rw\n";

    fn refused(id: u64, path: &str) -> Option<Refusal> {
        find_refusal(&mountinfo::parse(MOUNTINFO), id, Path::new(path))
    }

    #[test]
    fn find_refusal_knows_the_system_behind_a_bind_mount() {
        for (id, path) in [
            (30, "/mnt/all/usr"),
            (30, "/mnt/all/usr/share/doc"),
            (30, "/mnt/all/etc"),
            (30, "/mnt/all/var/lib"),
            (31, "/mnt/lib"),
            (31, "/mnt/lib/x"),
            (33, "/mnt/var"),
            (33, "/mnt/var/lib"),
            // The list has no such mount.
            (99, "/mnt/else"),
        ] {
            assert_eq!(refused(id, path), Some(Refusal::System), "{path}");
        }
        // It is above both, so either refusal is right.
        assert!(refused(30, "/mnt/all").is_some());
        if path::home_of_root() == Some(&PathBuf::from("/root")) {
            assert_eq!(refused(34, "/mnt/home"), Some(Refusal::HomeOfRoot));
        }
    }

    #[test]
    fn find_refusal_accepts_a_bind_mounted_job_directory() {
        for (id, path) in [
            (22, "/work/one"),
            (32, "/mnt/one"),
            (32, "/mnt/one/usr"),
            (30, "/mnt/all/work"),
            (33, "/mnt/var/lib/job"),
            (35, "/mnt/disk"),
            (35, "/mnt/disk/usr"),
            (24, "/dev/shm/x"),
            (36, "/mnt/memory"),
        ] {
            assert_eq!(refused(id, path), None, "{path}");
        }
    }
}
