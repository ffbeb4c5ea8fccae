//! What this container uses of what it has: memory, cores, disks and volumes, by its cgroup (v2) and statvfs(3).
//!
//! The container sees its own cgroup at `/sys/fs/cgroup`. With cgroup v1 nothing is known but the volumes.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;
use report::Volume;

const CGROUP: &str = "/sys/fs/cgroup";

/// The usage of a container; `None` for what the kernel does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ContainerUsage {
    /// The limit on memory in bytes.
    pub memory_limit: Option<u64>,
    /// The peak memory in bytes, with the page cache (Linux 5.19).
    pub memory_peak: Option<u64>,
    /// How many cores it may use, as a limit in thousandths.
    pub millicores: Option<u64>,
    /// The bytes that it wrote to block devices.
    pub written: Option<u64>,
}

impl ContainerUsage {
    /// Reads the usage of the container of this process.
    #[must_use]
    pub fn read() -> Self {
        Self::read_from(Path::new(CGROUP))
    }

    fn read_from(cgroup: &Path) -> Self {
        // The root of the hierarchy counts the whole machine, and only the root has no type.
        if !cgroup.join("cgroup.type").exists() {
            return Self::default();
        }
        let text = |name: &str| std::fs::read_to_string(cgroup.join(name)).ok();
        let number = |name: &str| text(name)?.trim().parse().ok();
        Self {
            // `max` is no number.
            memory_limit: number("memory.max"),
            memory_peak: number("memory.peak"),
            millicores: text("cpu.max").and_then(|text| millicores(&text)),
            written: text("io.stat").and_then(|text| written(&text)),
        }
    }
}

/// Reads `QUOTA PERIOD` of `cpu.max`, both in microseconds. `None` for `max`.
fn millicores(text: &str) -> Option<u64> {
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period): (u64, u64) = (quota.parse().ok()?, period.parse().ok()?);
    quota.checked_mul(1000)?.checked_div(period)
}

/// Adds the `wbytes=` of all devices in `io.stat`. `None` if it has no device.
fn written(text: &str) -> Option<u64> {
    let counts = text.split_whitespace();
    let counts = counts.filter_map(|word| word.strip_prefix("wbytes=")?.parse().ok());
    counts.reduce(|sum: u64, count| sum.saturating_add(count))
}

/// Returns the space of the file system of a directory. `None` if there is no such directory.
#[must_use]
pub fn volume(path: &Path) -> Option<Volume> {
    let found = statvfs(path).ok()?;
    let unit = found.fragment_size();
    Some(Volume {
        path: path.display().to_string(),
        bytes: found.blocks().saturating_mul(unit),
        free_bytes: found.blocks_available().saturating_mul(unit),
        inodes: found.files(),
        free_inodes: found.files_available(),
    })
}

/// Returns the space of each file system of these directories, under the first directory of it. Missing directories are left
/// out, and file systems without a size, such as mqueue.
#[must_use]
pub fn volumes(paths: &[PathBuf]) -> Vec<Volume> {
    let mut devices = Vec::new();
    let mut found = Vec::new();
    for path in paths {
        let Ok(metadata) = std::fs::metadata(path) else {
            continue;
        };
        if !devices.contains(&metadata.dev()) {
            devices.push(metadata.dev());
            found.extend(volume(path).filter(|volume| volume.bytes > 0));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_limits_peaks_and_sums() {
        let cgroup = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(cgroup.path().join(name), text);
        write("memory.max", "max\n").unwrap();
        write("memory.peak", "4096\n").unwrap();
        let usage = ContainerUsage::read_from(cgroup.path());
        assert_eq!(usage, ContainerUsage::default(), "the whole machine's");
        write("cgroup.type", "domain\n").unwrap();
        write("cpu.max", "150000 100000\n").unwrap();
        let io = "8:0 rbytes=1 wbytes=20 rios=1\n7:0 rbytes=1\n8:16 wbytes=3 dbytes=0\n";
        write("io.stat", io).unwrap();
        let expected = ContainerUsage {
            memory_limit: None,
            memory_peak: Some(4096),
            millicores: Some(1500),
            written: Some(23),
        };
        assert_eq!(ContainerUsage::read_from(cgroup.path()), expected);
        write("memory.max", "1048576\n").unwrap();
        write("cpu.max", "max 100000\n").unwrap();
        write("io.stat", "\n").unwrap();
        let usage = ContainerUsage::read_from(cgroup.path());
        assert_eq!(usage.memory_limit, Some(1 << 20));
        assert_eq!((usage.millicores, usage.written), (None, None));
    }

    #[test]
    fn volume_has_the_space_of_its_file_system() {
        let found = volume(Path::new("/proc")).unwrap();
        assert_eq!((found.path.as_str(), found.free_bytes), ("/proc", 0));
        let found = volume(Path::new("/")).unwrap();
        assert!(found.bytes > found.free_bytes);
        assert_eq!(volume(Path::new("/nowhere")), None);
    }

    #[test]
    fn volumes_have_each_file_system_once() {
        let paths = ["/dev/shm/", "/nowhere", "/proc", "/", "/dev/shm"].map(PathBuf::from);
        let found = volumes(&paths);
        let found: Vec<&str> = found.iter().map(|volume| &*volume.path).collect();
        assert_eq!(found, ["/dev/shm/", "/"]);
    }
}
