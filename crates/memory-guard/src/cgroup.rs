//! The memory files of a cgroup, v1 and v2, as text. Pure functions.
//!
//! Sources: Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst of Linux.

/// The version of the hierarchy that limits memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// The controller `memory` has a hierarchy of its own.
    V1,
    /// The unified hierarchy.
    V2,
}

/// v1 has no word for "no limit", but a number near 2^63.
const UNLIMITED_V1: u64 = 1 << 60;

/// Reads a file with one number, in bytes. `max` and v1's huge number are `u64::MAX`: no limit.
#[must_use]
pub fn number(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii();
    if text == b"max" {
        return Some(u64::MAX);
    }
    let number = digits(text)?;
    Some(if number >= UNLIMITED_V1 {
        u64::MAX
    } else {
        number
    })
}

/// Reads digits without an allocation. `None` if there is any other byte, or if they do not fit.
pub(crate) fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// The value of a key in a file of lines `KEY NUMBER`, such as `memory.stat`, `memory.events` and `memory.oom_control`.
#[must_use]
pub fn value(text: &[u8], key: &str) -> Option<u64> {
    let mut lines = text.split(|byte| *byte == b'\n');
    lines.find_map(|line| digits(line.strip_prefix(key.as_bytes())?.strip_prefix(b" ")?))
}

/// What `memory.stat` says of the memory that the kernel can take back, and of tmpfs. In bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stat {
    /// File pages on the inactive and active lists. Those of tmpfs are not among them.
    pub files: u64,
    /// Slab that can be reclaimed, mostly cached directory entries and inodes. v1 does not show it.
    pub slab: u64,
    /// tmpfs and shared memory. No kill frees a file in tmpfs.
    pub shmem: u64,
}

impl Stat {
    /// Reads `memory.stat`. v1 counts the cgroups below only in its fields `total_…`.
    #[must_use]
    pub fn read(text: &[u8], version: Version) -> Self {
        let [inactive, active, shmem] = match version {
            Version::V1 => ["total_inactive_file", "total_active_file", "total_shmem"],
            Version::V2 => ["inactive_file", "active_file", "shmem"],
        };
        let field = |key| value(text, key).unwrap_or(0);
        Self {
            files: field(inactive).saturating_add(field(active)),
            slab: match version {
                Version::V1 => 0,
                Version::V2 => field("slab_reclaimable"),
            },
            shmem: field(shmem),
        }
    }
}

/// The memory of one cgroup at one moment, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// The limit, `u64::MAX` without one.
    pub limit: u64,
    /// All that is charged.
    pub current: u64,
    /// What of it can be reclaimed, and what lies in tmpfs.
    pub stat: Stat,
    /// Swap that the cgroup may still use.
    pub swap_left: u64,
}

impl Usage {
    /// What cannot be reclaimed: neither by dropping the cache nor by swapping.
    #[must_use]
    pub fn unreclaimable(&self) -> u64 {
        let kept = self.current.saturating_sub(self.stat.files);
        kept.saturating_sub(self.stat.slab)
    }

    /// How much more memory that cannot be reclaimed fits below the limit, swap included.
    #[must_use]
    pub fn head_room(&self) -> u64 {
        let room = self.limit.saturating_sub(self.unreclaimable());
        room.saturating_add(self.swap_left)
    }
}

/// Where the hierarchy is mounted, and which cgroup of it is visible there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The version.
    pub version: Version,
    /// The cgroup at the mount point, `/` in a cgroup namespace of its own.
    pub root: String,
    /// The mount point.
    pub point: String,
}

/// Finds the hierarchy that limits memory in `/proc/self/mountinfo`. A mounted v1 controller takes memory from v2.
#[must_use]
pub fn mount(mountinfo: &str) -> Option<Mount> {
    let mut unified = None;
    for line in mountinfo.lines() {
        let Some((place, kind)) = line.split_once(" - ") else {
            continue;
        };
        let mut place = place.split(' ').skip(3);
        let (Some(root), Some(point)) = (place.next(), place.next()) else {
            continue;
        };
        let found = |version| Mount {
            version,
            root: root.to_owned(),
            point: point.to_owned(),
        };
        let mut kind = kind.split(' ');
        let filesystem = kind.next();
        let controllers = kind.nth(1).unwrap_or_default();
        match filesystem {
            Some("cgroup") if controllers.split(',').any(|name| name == "memory") => {
                return Some(found(Version::V1));
            }
            Some("cgroup2") => unified = unified.or_else(|| Some(found(Version::V2))),
            _ => {}
        }
    }
    unified
}

/// The path of this process's cgroup in its hierarchy, from `/proc/self/cgroup`.
#[must_use]
pub fn own_path(cgroups: &str, version: Version) -> Option<&str> {
    cgroups.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (number, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let is_own = match version {
            Version::V1 => controllers.split(',').any(|name| name == "memory"),
            Version::V2 => number == "0" && controllers.is_empty(),
        };
        is_own.then_some(path)
    })
}

/// The cgroups between this process and the mount point, the own one first, as paths below the mount point.
///
/// In a container without a cgroup namespace the path is that of the node, and the mount shows the container's cgroup alone.
#[must_use]
pub fn visible<'a>(path: &'a str, root: &str) -> Vec<&'a str> {
    let below = match root {
        "/" => Some(path),
        root => path.strip_prefix(root),
    };
    let is_below = |below: &&str| below.is_empty() || below.starts_with('/');
    let below = below.filter(is_below).unwrap_or_default();
    let mut rest = if below.contains("/..") {
        ""
    } else {
        below.trim_matches('/')
    };
    let mut levels = Vec::new();
    while !rest.is_empty() {
        levels.push(rest);
        rest = rest.rsplit_once('/').map_or("", |(parent, _)| parent);
    }
    levels.push("");
    levels
}

#[cfg(test)]
mod tests;
