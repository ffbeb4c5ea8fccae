//! Finds the files of a context that an ignore file leaves out.
//!
//! The job may change the context meanwhile. Each directory is opened beneath the context, so a race yields other files of the
//! job, and no file of the builder.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, openat2, statat};
use rustix::io::Errno;

use crate::error::SandboxError;
use dockerfile::{IgnorePatterns, ParentMatches};

/// The most entries that are compared. Each takes about 100 bytes while its directory is read.
const MAX_ENTRIES: usize = 2_000_000;
/// The longest that comparing may take. The builder waits for 60 seconds until Buildah starts.
const MAX_TIME: Duration = Duration::from_secs(40);

/// The depth of directories in which files are looked for. Deeper ones are as their parent: ignored or not.
const MAX_DEPTH: usize = 500;

/// A file or directory that is left out. Nothing beneath such a directory is taken back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ignored {
    /// Its path in the context.
    pub(super) path: PathBuf,
    pub(super) directory: bool,
}

/// Returns what the patterns leave out, without what lies beneath a directory that is left out.
///
/// # Errors
/// [`SandboxError::TooManyFiles`] and [`SandboxError::TooLong`].
pub(super) fn find(
    context: &OwnedFd,
    patterns: &IgnorePatterns,
) -> Result<Vec<Ignored>, SandboxError> {
    let mut walk = Walk {
        context,
        patterns,
        left: MAX_ENTRIES,
        deadline: Instant::now() + MAX_TIME,
        found: Vec::new(),
    };
    walk.directory(Path::new(""), &ParentMatches::default(), false)?;
    Ok(walk.found)
}

struct Walk<'a> {
    context: &'a OwnedFd,
    patterns: &'a IgnorePatterns,
    /// The entries that may still be read.
    left: usize,
    deadline: Instant,
    found: Vec<Ignored>,
}

impl Walk<'_> {
    /// Walks a directory, and returns whether something in it is kept.
    fn directory(
        &mut self,
        path: &Path,
        parent: &ParentMatches,
        ignored: bool,
    ) -> Result<bool, SandboxError> {
        let Ok(entries) = self.list(path)? else {
            // It has changed, or the build cannot read it either.
            return Ok(!ignored);
        };
        let mut kept = false;
        for (name, directory) in entries {
            if Instant::now() > self.deadline {
                return Err(SandboxError::TooLong(MAX_TIME.as_secs()));
            }
            let path = path.join(name);
            let text = path.to_string_lossy();
            let (mut ignored, matches) = self.patterns.ignores(&text, parent);
            let deep = path.components().count() > MAX_DEPTH;
            if directory && !deep && self.patterns.may_differ_beneath(&text, ignored) {
                let before = self.found.len();
                let keeps = self.directory(&path, &matches, ignored)?;
                if ignored && !keeps {
                    self.found.truncate(before);
                }
                ignored &= !keeps;
            }
            kept |= !ignored;
            if ignored {
                self.found.push(Ignored { path, directory });
            }
        }
        Ok(kept)
    }

    /// Returns the names in a directory, and whether each is a directory.
    #[allow(clippy::type_complexity, reason = "two kinds of errors")]
    fn list(&mut self, path: &Path) -> Result<Result<Vec<(OsString, bool)>, Errno>, SandboxError> {
        let directory = match open_beneath(self.context, path, OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(directory) => directory,
            Err(errno) => return Ok(Err(errno)),
        };
        let entries = match Dir::read_from(&directory) {
            Ok(entries) => entries,
            Err(errno) => return Ok(Err(errno)),
        };
        let mut list = Vec::new();
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(errno) => return Ok(Err(errno)),
            };
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            if self.left == 0 {
                return Err(SandboxError::TooManyFiles(MAX_ENTRIES));
            }
            self.left -= 1;
            let kind = match entry.file_type() {
                // Some file systems have no types in directories.
                FileType::Unknown => statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)
                    .map_or(FileType::Unknown, |status| {
                        FileType::from_raw_mode(status.st_mode)
                    }),
                kind => kind,
            };
            let name = OsString::from_vec(name.to_bytes().to_vec());
            list.push((name, kind == FileType::Directory));
        }
        Ok(Ok(list))
    }
}

/// Opens a path beneath a directory, and follows no symlink. The empty path is the directory itself.
pub(super) fn open_beneath(
    directory: &OwnedFd,
    path: &Path,
    flags: OFlags,
) -> Result<OwnedFd, Errno> {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    // EAGAIN: a directory was renamed during the walk.
    for _ in 0..100 {
        match openat2(directory, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN) => {}
            other => return other,
        }
    }
    Err(Errno::AGAIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn found(make: impl Fn(&Path), text: &str) -> Vec<String> {
        let context = tempfile::tempdir().unwrap();
        make(context.path());
        let fd = OwnedFd::from(std::fs::File::open(context.path()).unwrap());
        let patterns = IgnorePatterns::parse(text.as_bytes()).unwrap();
        let found = find(&fd, &patterns).unwrap().into_iter();
        let mut found: Vec<String> = found
            .map(|ignored| {
                let slash = if ignored.directory { "/" } else { "" };
                format!("{}{slash}", ignored.path.display())
            })
            .collect();
        found.sort();
        found
    }

    fn tree(root: &Path) {
        for path in ["a/b", "a/c", "n/x/y", "top", ".env", "a/.env"] {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
    }

    #[test]
    fn finds_whole_directories_and_single_files() {
        assert_eq!(found(tree, "n\n**/.env"), [".env", "a/.env", "n/"]);
        assert_eq!(
            found(tree, "*\n!a/b"),
            [".env", "a/.env", "a/c", "n/", "top"]
        );
        // The directory n has nothing that is taken back.
        assert_eq!(
            found(tree, "*\n!**/b"),
            [".env", "a/.env", "a/c", "n/", "top"]
        );
        assert_eq!(found(tree, "*\n!n/**/y"), [".env", "a/", "top"]);
        assert!(found(tree, "# none").is_empty());
    }

    #[test]
    fn follows_no_symlink() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "").unwrap();
        let make = |root: &Path| {
            symlink(outside.path(), root.join("link")).unwrap();
            symlink("..", root.join("up")).unwrap();
        };
        assert!(found(make, "**/secret\n**/passwd").is_empty());
        assert_eq!(found(make, "*\n!link/secret"), ["link", "up"]);
    }

    #[test]
    fn a_deep_tree_ends() {
        let make = |root: &Path| {
            let mut fd = OwnedFd::from(std::fs::File::open(root).unwrap());
            for _ in 0..3000 {
                rustix::fs::mkdirat(&fd, "d", Mode::RWXU).unwrap();
                fd = open_beneath(&fd, Path::new("d"), OFlags::PATH).unwrap();
            }
        };
        assert!(found(make, "**/x").is_empty());
        assert_eq!(found(make, "*\n!**/x"), ["d/"]);
    }
}
