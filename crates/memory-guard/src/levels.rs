//! The cgroups that limit this process, with their files open.
//!
//! The guard must not allocate while it acts. So it opens the files once, and reads them with pread(2) into a fixed buffer.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use nix::sys::sysinfo::sysinfo;

use crate::cgroup::{self, Mount, Stat, Usage, Version};

/// A file of one cgroup is smaller than this. `memory.stat` has some 60 lines of at most 50 bytes.
const BUFFER: usize = 8192;
/// How many cgroups are watched, counted from the own one.
const MOST: usize = 4;

/// The names of the files.
struct Names {
    limit: &'static str,
    current: &'static str,
    kills: &'static str,
    /// v2: how much may be swapped. v1: memory and swap together.
    swap_limit: &'static str,
    swap_current: &'static str,
}

const V1: Names = Names {
    limit: "memory.limit_in_bytes",
    current: "memory.usage_in_bytes",
    kills: "memory.oom_control",
    swap_limit: "memory.memsw.limit_in_bytes",
    swap_current: "memory.memsw.usage_in_bytes",
};
const V2: Names = Names {
    limit: "memory.max",
    current: "memory.current",
    kills: "memory.events",
    swap_limit: "memory.swap.max",
    swap_current: "memory.swap.current",
};

/// One cgroup.
#[derive(Debug)]
struct Level {
    limit: File,
    current: File,
    stat: File,
    kills: Option<File>,
    swap: Option<(File, File)>,
}

/// The cgroups that limit this process and that it can see, the own one first.
#[derive(Debug)]
pub struct Levels {
    version: Version,
    levels: Vec<Level>,
    kills_group: bool,
}

/// The tightest of the limits at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tightest {
    /// The cgroup with the least head room.
    pub usage: Usage,
    /// Its head room in bytes.
    pub room: u64,
}

/// A reader of small files without allocations.
#[derive(Debug)]
pub struct Reader {
    buffer: [u8; BUFFER],
    /// The limits as they were read last, the own cgroup's first. 0: not read yet.
    limits: [u64; MOST],
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            buffer: [0; BUFFER],
            limits: [0; MOST],
        }
    }
}

impl Reader {
    /// Reads a file from its start.
    fn read(&mut self, file: &File) -> io::Result<&[u8]> {
        let count = rustix::io::pread(file, &mut self.buffer[..], 0)?;
        Ok(&self.buffer[..count])
    }

    fn number(&mut self, file: &File) -> Option<u64> {
        cgroup::number(self.read(file).ok()?)
    }
}

impl Level {
    fn open(directory: &Path, version: Version) -> io::Result<Self> {
        let names = match version {
            Version::V1 => V1,
            Version::V2 => V2,
        };
        let open = |name| File::open(directory.join(name));
        let swap = open(names.swap_limit).and_then(|limit| Ok((limit, open(names.swap_current)?)));
        Ok(Self {
            limit: open(names.limit)?,
            current: open(names.current)?,
            stat: open("memory.stat")?,
            kills: open(names.kills).ok(),
            swap: swap.ok(),
        })
    }

    /// The swap that is left for this cgroup, if `free` bytes are left on the machine.
    fn swap_left(
        &self,
        version: Version,
        usage: (u64, u64),
        free: u64,
        reader: &mut Reader,
    ) -> u64 {
        if free == 0 {
            return 0;
        }
        let (limit, current) = usage;
        let Some((swap_limit, swap_current)) = &self.swap else {
            return free;
        };
        let swap_limit = reader.number(swap_limit).unwrap_or(0);
        let swap_current = reader.number(swap_current).unwrap_or(0);
        let left = match version {
            Version::V2 => swap_limit.saturating_sub(swap_current),
            // Both count the memory too.
            Version::V1 => {
                let swap = swap_limit.saturating_sub(limit);
                swap.saturating_sub(swap_current.saturating_sub(current))
            }
        };
        left.min(free)
    }

    /// Reads the cgroup, which is at this place; `None` if it has no limit now.
    fn usage(&self, at: usize, version: Version, reader: &mut Reader) -> Option<Usage> {
        let limit = reader.number(&self.limit)?;
        if let Some(known) = reader.limits.get_mut(at) {
            *known = limit;
        }
        if limit == u64::MAX {
            return None;
        }
        let current = reader.number(&self.current)?;
        let stat = Stat::read(reader.read(&self.stat).ok()?, version);
        let swap_left = self.swap_left(version, (limit, current), free_swap(), reader);
        Some(Usage {
            limit,
            current,
            stat,
            swap_left,
        })
    }
}

/// The machine's free swap in bytes.
fn free_swap() -> u64 {
    sysinfo().map_or(0, |info| info.swap_free())
}

impl Levels {
    /// Opens the files of the cgroups of this process.
    ///
    /// # Errors
    /// As open(2) of the own cgroup; `NotFound` if no hierarchy limits memory here.
    pub fn open() -> io::Result<Self> {
        let mountinfo = std::fs::read_to_string("/proc/self/mountinfo")?;
        let mount = cgroup::mount(&mountinfo).ok_or(io::ErrorKind::NotFound)?;
        let cgroups = std::fs::read_to_string("/proc/self/cgroup")?;
        let path = cgroup::own_path(&cgroups, mount.version).unwrap_or("/");
        Self::beneath(&mount, path)
    }

    /// As [`Levels::open`], for a hierarchy and a path in it.
    pub(crate) fn beneath(mount: &Mount, path: &str) -> io::Result<Self> {
        let directory = |below: &str| PathBuf::from(&mount.point).join(below);
        let mut visible = cgroup::visible(path, &mount.root);
        // A bind mount may show the own cgroup at the mount point although the path is longer.
        visible.retain(|below| directory(below).join("memory.stat").exists());
        visible.truncate(MOST);
        let open = |below: &&str| Level::open(&directory(below), mount.version);
        // The root of v2 has no limit, and no file for one.
        let levels: Vec<Level> = visible
            .iter()
            .filter_map(|below| open(below).ok())
            .collect();
        if levels.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let group = |below: &&str| {
            let text = std::fs::read(directory(below).join("memory.oom.group"));
            text.is_ok_and(|text| cgroup::number(&text) == Some(1))
        };
        Ok(Self {
            version: mount.version,
            kills_group: visible.iter().any(group),
            levels,
        })
    }

    /// The version of the hierarchy.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Whether the kernel kills all processes of the cgroup at once, `memory.oom.group`.
    #[must_use]
    pub fn kills_group(&self) -> bool {
        self.kills_group
    }

    /// The cgroup with the least head room; `None` if none has a limit now.
    #[must_use]
    pub fn tightest(&self, reader: &mut Reader) -> Option<Tightest> {
        let usages = self.levels.iter().enumerate();
        let usages = usages.filter_map(|(at, level)| level.usage(at, self.version, reader));
        let rooms = usages.map(|usage| Tightest {
            room: usage.head_room(),
            usage,
        });
        rooms.min_by_key(|tightest| tightest.room)
    }

    /// The least room below a limit if nothing could be reclaimed. Cheaper than [`Levels::tightest`], and never more: it takes
    /// the limits that this reader read there.
    pub(crate) fn least_room(&self, reader: &mut Reader) -> u64 {
        let limits = reader.limits;
        let levels = self.levels.iter().zip(limits);
        let limited = levels.filter(|(_, limit)| *limit != u64::MAX);
        let rooms = limited.map(|(level, limit)| {
            let current = reader.number(&level.current);
            limit.saturating_sub(current.unwrap_or(limit))
        });
        rooms.min().unwrap_or(u64::MAX)
    }

    /// How many processes the kernel has killed in this cgroup because memory ran out.
    #[must_use]
    pub fn kernel_kills(&self, reader: &mut Reader) -> u64 {
        let file = self.levels.first().and_then(|level| level.kills.as_ref());
        let text = file.and_then(|file| reader.read(file).ok());
        text.and_then(|text| cgroup::value(text, "oom_kill"))
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn write(directory: &Path, files: &[(&str, String)]) {
        std::fs::create_dir_all(directory).unwrap();
        for (name, text) in files {
            std::fs::write(directory.join(name), text).unwrap();
        }
    }

    fn unified(directory: &Path, limit: &str, current: u64) {
        let stat = format!("anon 1\ninactive_file {MIB}\nactive_file 0\nshmem 0\n");
        write(
            directory,
            &[
                ("memory.max", format!("{limit}\n")),
                ("memory.current", format!("{current}\n")),
                ("memory.stat", stat),
                ("memory.events", "oom 1\noom_kill 3\n".to_owned()),
                ("memory.oom.group", "0\n".to_owned()),
                ("memory.swap.max", "0\n".to_owned()),
                ("memory.swap.current", "0\n".to_owned()),
            ],
        );
    }

    fn mount(point: &Path, version: Version) -> Mount {
        Mount {
            version,
            root: "/".to_owned(),
            point: point.display().to_string(),
        }
    }

    #[test]
    fn tightest_is_the_nested_limit_with_the_least_room() {
        let root = tempfile::tempdir().unwrap();
        unified(root.path(), "104857600", 90 * MIB);
        unified(&root.path().join("a"), "max", 10 * MIB);
        unified(&root.path().join("a/b"), "52428800", 10 * MIB);
        let levels = Levels::beneath(&mount(root.path(), Version::V2), "/a/b").unwrap();
        let mut reader = Reader::default();
        assert_eq!(levels.tightest(&mut reader).unwrap().room, 11 * MIB);
        assert_eq!(levels.kernel_kills(&mut reader), 3);
        // A resize in place.
        std::fs::write(root.path().join("a/b/memory.max"), "12582912\n").unwrap();
        assert_eq!(levels.tightest(&mut reader).unwrap().room, 3 * MIB);
    }

    #[test]
    fn least_room_counts_the_cache_and_takes_the_limits_read_last() {
        let root = tempfile::tempdir().unwrap();
        unified(root.path(), "104857600", 90 * MIB);
        let levels = Levels::beneath(&mount(root.path(), Version::V2), "/").unwrap();
        let mut reader = Reader::default();
        assert_eq!(levels.least_room(&mut reader), 0, "not read yet");
        assert_eq!(levels.tightest(&mut reader).unwrap().room, 11 * MIB);
        assert_eq!(levels.least_room(&mut reader), 10 * MIB);
        std::fs::write(root.path().join("memory.max"), "max\n").unwrap();
        assert_eq!(levels.tightest(&mut reader), None);
        assert_eq!(levels.least_room(&mut reader), u64::MAX);
    }

    #[test]
    fn without_any_limit_there_is_nothing_to_watch() {
        let root = tempfile::tempdir().unwrap();
        unified(root.path(), "max", 90 * MIB);
        let levels = Levels::beneath(&mount(root.path(), Version::V2), "/").unwrap();
        assert_eq!(levels.tightest(&mut Reader::default()), None);
        assert!(!levels.kills_group());
        let empty = tempfile::tempdir().unwrap();
        assert!(Levels::beneath(&mount(empty.path(), Version::V2), "/").is_err());
    }

    #[test]
    fn group_kill_of_any_level_counts() {
        let root = tempfile::tempdir().unwrap();
        unified(root.path(), "max", 0);
        unified(&root.path().join("a"), "max", 0);
        std::fs::write(root.path().join("memory.oom.group"), "1\n").unwrap();
        let levels = Levels::beneath(&mount(root.path(), Version::V2), "/a").unwrap();
        assert!(levels.kills_group());
    }

    #[test]
    fn v1_counts_memory_and_swap_together() {
        let root = tempfile::tempdir().unwrap();
        let files = [
            ("memory.limit_in_bytes", 100 * MIB),
            ("memory.usage_in_bytes", 90 * MIB),
            ("memory.memsw.limit_in_bytes", 150 * MIB),
            ("memory.memsw.usage_in_bytes", 110 * MIB),
        ];
        let mut files: Vec<(&str, String)> = files
            .iter()
            .map(|(name, number)| (*name, format!("{number}\n")))
            .collect();
        files.push(("memory.stat", "total_inactive_file 0\n".to_owned()));
        write(root.path(), &files);
        let level = Level::open(root.path(), Version::V1).unwrap();
        let mut reader = Reader::default();
        let sizes = (100 * MIB, 90 * MIB);
        let mut left = |free| level.swap_left(Version::V1, sizes, free, &mut reader);
        assert_eq!(left(0), 0);
        assert_eq!(left(u64::MAX), 30 * MIB);
        assert_eq!(left(MIB), MIB);
    }
}
