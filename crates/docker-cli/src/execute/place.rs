//! Finds which paths the job shares with the builder: those on the mount that has the scratch directory.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::handover::Place;

/// The directory that the job and the builder share.
#[derive(Debug)]
pub(super) struct Shared {
    root: PathBuf,
}

impl Shared {
    /// Finds the mount point above the directory for temporary files. Without one, the job and the builder share all files.
    pub(super) fn find() -> Self {
        let temporary = fs::canonicalize(std::env::temp_dir()).unwrap_or_default();
        let mounts = fs::read("/proc/self/mountinfo").unwrap_or_default();
        Self {
            root: mount_point(&String::from_utf8_lossy(&mounts), &temporary),
        }
    }

    /// Returns the place of a path, which need not exist.
    pub(super) fn place(&self, path: &Path) -> Place {
        let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let resolved = resolved(&whole);
        if !resolved.starts_with(&self.root) {
            Place::Outside
        } else if resolved == whole {
            Place::Shared
        } else {
            Place::SharedAs(resolved)
        }
    }
}

/// Resolves the part of a path that exists.
fn resolved(path: &Path) -> PathBuf {
    for ancestor in path.ancestors() {
        if let Ok(resolved) = fs::canonicalize(ancestor) {
            return match path.strip_prefix(ancestor) {
                Ok(rest) if !rest.as_os_str().is_empty() => resolved.join(rest),
                _ => resolved,
            };
        }
    }
    path.to_owned()
}

/// Returns the mount point of a path. Source: proc_pid_mountinfo(5), field 5.
fn mount_point(mountinfo: &str, path: &Path) -> PathBuf {
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4));
    let points = points.map(|point| {
        let blank = point.replace("\\040", " ").replace("\\011", "\t");
        PathBuf::from(blank.replace("\\012", "\n").replace("\\134", "\\"))
    });
    let above = points.filter(|point| path.starts_with(point));
    above
        .max_by_key(|point| point.components().count())
        .unwrap_or_else(|| PathBuf::from("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn the_mount_above_the_scratch_directory_is_shared() {
        let text = "1 0 0:1 / / rw - overlay o rw\n2 1 8:1 /v /work\\040space rw,nosuid - ext4 /d rw\n3 1 0:3 / /w rw - tmpfs t rw\n";
        for (path, expected) in [
            ("/work space/tmp", "/work space"),
            ("/work spaces", "/"),
            ("/w/x", "/w"),
            ("/tmp", "/"),
        ] {
            assert_eq!(mount_point(text, Path::new(path)), Path::new(expected));
        }
        assert_eq!(mount_point("", Path::new("/x")), Path::new("/"));
    }

    #[test]
    fn symlinks_and_ways_upwards_are_resolved() {
        let outer = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(outer.path()).unwrap().join("w");
        fs::create_dir_all(root.join("a/b")).unwrap();
        symlink(root.join("a"), root.join("absolute")).unwrap();
        symlink("..", root.join("up")).unwrap();
        let shared = Shared { root: root.clone() };
        let place = |path: &str| shared.place(&root.join(path));
        assert_eq!(place("a/b"), Place::Shared);
        assert_eq!(place("a/missing/x"), Place::Shared);
        assert_eq!(place("absolute/b"), Place::SharedAs(root.join("a/b")));
        assert_eq!(place("a/../a/b"), Place::SharedAs(root.join("a/b")));
        assert_eq!(place("up"), Place::Outside);
        assert_eq!(place("/etc"), Place::Outside);
        assert_eq!(place("/dev/fd/99999"), Place::Outside);
        let all = Shared { root: "/".into() };
        assert_eq!(all.place(&root), Place::Shared);
    }
}
