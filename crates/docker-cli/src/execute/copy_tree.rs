//! Copies a directory of the job, with modes, times, symlinks and hard links. Only the job's own files are written.

use std::collections::HashMap;
use std::fs::{self, DirEntry, File, FileTimes, Metadata};
use std::io::{self, Error, ErrorKind};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use dockerfile::{IgnorePatterns, ParentMatches};

/// Files in the root of a context that the builder reads, even if the ignore file leaves them out.
const ALWAYS: [&str; 4] = [
    ".dockerignore",
    "Containerfile",
    "Dockerfile",
    "Dockerfile.dockerignore",
];

/// Copies a directory into a new one, without what the patterns leave out. Files are shared by reflink where the file system
/// can do that.
///
/// # Errors
/// As the system calls, with the path.
pub(super) fn copy(from: &Path, to: &Path, patterns: &IgnorePatterns) -> io::Result<()> {
    let mut copy = Copy {
        patterns,
        links: HashMap::new(),
    };
    let metadata = fs::metadata(from).map_err(at(from))?;
    if !metadata.is_dir() {
        return Err(at(from)(ErrorKind::NotADirectory.into()));
    }
    let place = (Path::new(""), &ParentMatches::default(), false);
    copy.directory(from, to, &metadata, place)?;
    Ok(())
}

/// Copies a directory into one that may exist. What is there under the same name is replaced.
///
/// # Errors
/// As the system calls, with the path.
pub(super) fn merge(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to).map_err(at(to))?;
    let mut copy = Copy {
        patterns: &IgnorePatterns::default(),
        links: HashMap::new(),
    };
    copy.merge(from, to)
}

fn at(path: &Path) -> impl FnOnce(Error) -> Error {
    let path = path.display().to_string();
    move |error| Error::new(error.kind(), format!("{path}: {error}"))
}

/// A path in the context, the matches of its directory, and whether the directory is left out.
type Place<'a> = (&'a Path, &'a ParentMatches, bool);

struct Copy<'a> {
    patterns: &'a IgnorePatterns,
    /// The copies of files with several names, by device and inode.
    links: HashMap<(u64, u64), PathBuf>,
}

impl Copy<'_> {
    /// Copies a directory. Returns whether something was copied. One that is left out and has nothing in it is removed.
    fn directory(
        &mut self,
        from: &Path,
        to: &Path,
        metadata: &Metadata,
        (path, parent, ignored): Place<'_>,
    ) -> io::Result<bool> {
        fs::create_dir(to).map_err(at(to))?;
        let mut kept = false;
        for entry in fs::read_dir(from).map_err(at(from))? {
            let entry = entry.map_err(at(from))?;
            kept |= self.entry(&entry, to, (path, parent, ignored))?;
        }
        if ignored && !kept {
            fs::remove_dir(to).map_err(at(to))?;
            return Ok(false);
        }
        // Only now, because a directory may be read-only.
        fs::set_permissions(to, metadata.permissions()).map_err(at(to))?;
        set_times(to, metadata);
        Ok(true)
    }

    fn entry(
        &mut self,
        entry: &DirEntry,
        to: &Path,
        (path, parent, _): Place<'_>,
    ) -> io::Result<bool> {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let path = path.join(entry.file_name());
        let name = path.to_string_lossy();
        let metadata = entry.metadata().map_err(at(&from))?;
        let (ignored, matches) = self.patterns.ignores(&name, parent);
        if metadata.is_dir() {
            if ignored && !self.patterns.may_differ_beneath(&name, true) {
                return Ok(false);
            }
            return self.directory(&from, &to, &metadata, (&path, &matches, ignored));
        }
        if ignored && !ALWAYS.contains(&&*name) {
            return Ok(false);
        }
        self.file(&from, &to, &metadata)
    }

    /// Copies what is no directory. Sockets, pipes and devices are left out.
    fn file(&mut self, from: &Path, to: &Path, metadata: &Metadata) -> io::Result<bool> {
        if metadata.is_symlink() {
            let target = fs::read_link(from).map_err(at(from))?;
            symlink(target, to).map_err(at(to))?;
            return Ok(true);
        }
        if !metadata.is_file() {
            return Ok(false);
        }
        let identity = (metadata.dev(), metadata.ino());
        if let Some(first) = self.links.get(&identity) {
            fs::hard_link(first, to).map_err(at(to))?;
            return Ok(true);
        }
        fs::copy(from, to).map_err(at(from))?;
        set_times(to, metadata);
        if metadata.nlink() > 1 {
            self.links.insert(identity, to.to_owned());
        }
        Ok(true)
    }

    fn merge(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        for entry in fs::read_dir(from).map_err(at(from))? {
            let entry = entry.map_err(at(from))?;
            let metadata = entry.metadata().map_err(at(from))?;
            let (from, to) = (entry.path(), to.join(entry.file_name()));
            let there = fs::symlink_metadata(&to).ok();
            if metadata.is_dir() {
                if there.is_some_and(|there| !there.is_dir()) {
                    fs::remove_file(&to).map_err(at(&to))?;
                }
                fs::create_dir_all(&to).map_err(at(&to))?;
                self.merge(&from, &to)?;
                fs::set_permissions(&to, metadata.permissions()).map_err(at(&to))?;
                set_times(&to, &metadata);
                continue;
            }
            if there.is_some_and(|there| !there.is_dir()) {
                fs::remove_file(&to).map_err(at(&to))?;
            }
            self.file(&from, &to, &metadata)?;
        }
        Ok(())
    }
}

/// Gives a file the time of another. A file system without times keeps its own.
fn set_times(path: &Path, from: &Metadata) {
    let Ok(modified) = from.modified() else {
        return;
    };
    // A file without the permission to read keeps the time of its copy.
    if let Ok(file) = File::open(path) {
        let _ = file.set_times(FileTimes::new().set_modified(modified));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;
    use std::time::{Duration, SystemTime};

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn keeps_modes_times_and_links_and_leaves_out_the_ignored() {
        let place = tempfile::tempdir().unwrap();
        let (from, to) = (place.path().join("from"), place.path().join("to"));
        fs::create_dir_all(from.join("d/sub")).unwrap();
        fs::create_dir_all(from.join("node_modules/x")).unwrap();
        for name in ["Dockerfile", ".dockerignore", "d/f", "d/sub/kept", "secret"] {
            fs::write(from.join(name), name).unwrap();
        }
        fs::set_permissions(from.join("d/f"), PermissionsExt::from_mode(0o640)).unwrap();
        fs::set_permissions(from.join("d/sub"), PermissionsExt::from_mode(0o555)).unwrap();
        fs::hard_link(from.join("d/f"), from.join("d/g")).unwrap();
        symlink("/etc/passwd", from.join("d/link")).unwrap();
        let _socket = UnixListener::bind(from.join("socket")).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        for name in ["d/f", "d"] {
            let file = File::open(from.join(name)).unwrap();
            file.set_times(FileTimes::new().set_modified(time)).unwrap();
        }
        let patterns = IgnorePatterns::parse(b"*\n!d\n").unwrap();
        copy(&from, &to, &patterns).unwrap();
        assert_eq!(names(&to), [".dockerignore", "Dockerfile", "d"]);
        assert_eq!(names(&to.join("d")), ["f", "g", "link", "sub"]);
        let metadata = |name: &str| fs::symlink_metadata(to.join(name)).unwrap();
        assert_eq!(metadata("d/f").mode() & 0o777, 0o640);
        assert_eq!(metadata("d/sub").mode() & 0o777, 0o555);
        assert_eq!(metadata("d/f").ino(), metadata("d/g").ino());
        assert_eq!(
            fs::read_link(to.join("d/link")).unwrap(),
            Path::new("/etc/passwd")
        );
        assert_eq!(metadata("d/f").modified().unwrap(), time);
        assert_eq!(metadata("d").modified().unwrap(), time);
        // The original is another file.
        fs::write(to.join("d/f"), "changed").unwrap();
        assert_eq!(fs::read(from.join("d/f")).unwrap(), b"d/f");
        let missing = copy(&from.join("nope"), &place.path().join("x"), &patterns);
        assert!(
            missing
                .unwrap_err()
                .to_string()
                .contains("from/nope: No such file")
        );
    }

    #[test]
    fn merges_into_what_is_there() {
        let place = tempfile::tempdir().unwrap();
        let (from, to) = (place.path().join("from"), place.path().join("to"));
        fs::create_dir_all(from.join("d")).unwrap();
        fs::create_dir_all(to.join("d")).unwrap();
        fs::write(from.join("d/f"), "new").unwrap();
        fs::write(from.join("l"), "new").unwrap();
        fs::write(to.join("d/old"), "old").unwrap();
        fs::write(place.path().join("victim"), "victim").unwrap();
        symlink(place.path().join("victim"), to.join("l")).unwrap();
        merge(&from, &to).unwrap();
        assert_eq!(names(&to.join("d")), ["f", "old"]);
        assert_eq!(fs::read(to.join("l")).unwrap(), b"new");
        assert_eq!(fs::read(place.path().join("victim")).unwrap(), b"victim");
    }
}
