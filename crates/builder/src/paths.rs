//! Resolves paths of the job beneath the workspace, even while the job replaces directories by symlinks.
//!
//! Source: openat2(2), `RESOLVE_BENEATH` and `RESOLVE_NO_MAGICLINKS`. A resolved path is held as a descriptor.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, ResolveFlags, mkdirat, openat, openat2};

/// The largest Containerfile, secret or other small file that is read, in bytes.
pub(crate) const SMALL_FILE: u64 = 4 * 1024 * 1024;

/// The directory that the job and the builder share, held open.
#[derive(Debug)]
pub struct Workspace {
    path: PathBuf,
    root: OwnedFd,
}

impl Workspace {
    /// Opens the directory `path`.
    ///
    /// # Errors
    /// As open(2).
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(CWD, path, flags, Mode::empty())?;
        Ok(Self {
            path: path.to_owned(),
            root,
        })
    }

    /// Returns a path of the job relative to the workspace. The kernel resolves `..` and symlinks in it later.
    ///
    /// # Errors
    /// [`PathError::Outside`] if the path does not begin with the workspace's.
    pub(crate) fn relative(
        &self,
        directory: &Path,
        path: &Path,
    ) -> std::result::Result<PathBuf, PathError> {
        let whole = directory.join(path);
        let plain: PathBuf = whole
            .components()
            .filter(|part| !matches!(part, Component::CurDir))
            .collect();
        let beneath = plain
            .strip_prefix(&self.path)
            .map_err(|_| PathError::Outside {
                path: path.to_owned(),
                workspace: self.path.clone(),
            })?;
        if beneath.as_os_str().is_empty() {
            return Ok(PathBuf::from("."));
        }
        Ok(beneath.to_owned())
    }

    /// Resolves a path to a descriptor without access, open(2) `O_PATH`.
    ///
    /// # Errors
    /// As openat2(2); `EXDEV` if the path leads out of the workspace.
    pub(crate) fn resolve(&self, relative: &Path) -> Result<OwnedFd> {
        self.openat(relative, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
    }

    /// Reads a whole regular file of at most [`SMALL_FILE`] bytes.
    ///
    /// # Errors
    /// As openat2(2); `InvalidInput` if it is not a regular file or is too large.
    pub(crate) fn read(&self, relative: &Path) -> Result<Vec<u8>> {
        // Without O_NONBLOCK, open(2) of a FIFO waits for a writer.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let file = File::from(self.openat(relative, flags, Mode::empty())?);
        require_regular(&file)?;
        let mut content = Vec::new();
        file.take(SMALL_FILE + 1).read_to_end(&mut content)?;
        if content.len() as u64 > SMALL_FILE {
            let text = format!("it has more than {} MiB", SMALL_FILE >> 20);
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        Ok(content)
    }

    /// Lists at most `limit` entries of a directory, without `.` and `..`. It does not follow a symlink.
    ///
    /// # Errors
    /// As openat2(2) and readdir(3).
    pub(crate) fn list(&self, relative: &Path, limit: usize) -> Result<Vec<Entry>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = self.openat(relative, flags, Mode::empty())?;
        let mut entries = Vec::new();
        for entry in Dir::new(directory)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entries.len() == limit {
                break;
            }
            if !matches!(name.as_str(), "." | "..") {
                // Some file systems have no types. A listing then shows what the entry is.
                let directory =
                    matches!(entry.file_type(), FileType::Directory | FileType::Unknown);
                entries.push(Entry { name, directory });
            }
        }
        Ok(entries)
    }

    /// Creates a file, or opens it for writing and empties it. It does not follow a symlink.
    ///
    /// # Errors
    /// As openat2(2); `InvalidInput` if it is not a regular file.
    pub(crate) fn create(&self, relative: &Path) -> Result<File> {
        let (parent, name) = self.parent(relative)?;
        let flags = OFlags::WRONLY
            | OFlags::CREATE
            | OFlags::NOFOLLOW
            | OFlags::NONBLOCK
            | OFlags::NOCTTY
            | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let file = File::from(openat2(
            &parent,
            name,
            flags,
            Mode::from_raw_mode(0o644),
            resolve,
        )?);
        require_regular(&file)?;
        file.set_len(0)?;
        Ok(file)
    }

    /// Creates a directory, unless it exists.
    ///
    /// # Errors
    /// As openat2(2) and mkdirat(2).
    pub(crate) fn create_directory(&self, relative: &Path) -> Result<()> {
        if relative == Path::new(".") {
            return Ok(());
        }
        let (parent, name) = self.parent(relative)?;
        match mkdirat(&parent, name, Mode::from_raw_mode(0o755)) {
            Err(rustix::io::Errno::EXIST) | Ok(()) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Returns the directory of the last component of a path, and that component.
    fn parent<'a>(&self, relative: &'a Path) -> Result<(OwnedFd, &'a OsStr)> {
        let name = relative
            .file_name()
            .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "it has no name"))?;
        let parent = relative
            .parent()
            .filter(|path| !path.as_os_str().is_empty());
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let parent = self.openat(parent.unwrap_or(Path::new(".")), flags, Mode::empty())?;
        Ok((parent, name))
    }

    fn openat(&self, relative: &Path, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        // EAGAIN: a directory was renamed during the walk, so the kernel cannot prove that the path stays beneath.
        for _ in 0..100 {
            match openat2(&self.root, relative, flags, mode, resolve) {
                Err(rustix::io::Errno::AGAIN) => {}
                other => return other.map_err(Into::into),
            }
        }
        Err(rustix::io::Errno::AGAIN.into())
    }
}

/// An entry of a directory.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its name. Bytes that are not UTF-8 are replaced.
    pub(crate) name: String,
    /// Whether it is a directory.
    pub(crate) directory: bool,
}

/// Rejects an open file that is not a regular file.
///
/// # Errors
/// `InvalidInput`, or as fstat(2).
pub(super) fn require_regular(file: &File) -> Result<()> {
    if file.metadata()?.is_file() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidInput,
        "it is not a regular file",
    ))
}

/// A path of the job that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PathError {
    /// It does not begin with the workspace's path.
    #[error(
        "{} lies outside of {}; the builder shares only that directory with the job",
        path.display(),
        workspace.display()
    )]
    Outside {
        /// The path.
        path: PathBuf,
        /// The workspace.
        workspace: PathBuf,
    },
    /// It leaves the workspace on its way.
    #[error(
        "{}: leads out of the workspace (by `..`, or by an absolute symlink); the builder shares only the workspace with the job",
        .0.display()
    )]
    LeadsOut(PathBuf),
    /// The kernel refused it.
    #[error("{}: {source}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// The kernel's error.
        source: Error,
    },
}

impl PathError {
    /// Adds the path to an error of the kernel.
    pub(crate) fn new(path: &Path, source: Error) -> Self {
        let path = path.to_owned();
        if source.raw_os_error() == Some(rustix::io::Errno::XDEV.raw_os_error()) {
            return Self::LeadsOut(path);
        }
        Self::Io { path, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::symlink;

    fn workspace() -> (tempfile::TempDir, Workspace) {
        let outer = tempfile::tempdir().unwrap();
        std::fs::write(outer.path().join("secret"), "secret").unwrap();
        let root = outer.path().join("workspace");
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(root.join("a/file"), "inside").unwrap();
        let workspace = Workspace::open(&root).unwrap();
        (outer, workspace)
    }

    #[test]
    fn accepts_only_paths_beneath_the_workspace() {
        let (outer, workspace) = workspace();
        let root = outer.path().join("workspace");
        let relative = |path: &str| workspace.relative(&root.join("a"), Path::new(path));
        assert_eq!(relative("file").unwrap(), Path::new("a/file"));
        assert_eq!(relative("./b/../file").unwrap(), Path::new("a/b/../file"));
        assert_eq!(relative(&root.to_string_lossy()).unwrap(), Path::new("."));
        assert!(
            relative("/etc/passwd")
                .unwrap_err()
                .to_string()
                .contains("outside")
        );
        for path in ["../../secret", "b/../../../secret"] {
            let error = workspace.read(&relative(path).unwrap()).unwrap_err();
            let error = PathError::new(Path::new(path), error);
            assert!(error.to_string().contains("out of the workspace"));
        }
    }

    #[test]
    fn follows_symlinks_only_within_the_workspace() {
        let (outer, workspace) = workspace();
        let root = outer.path().join("workspace");
        symlink("../secret", root.join("up")).unwrap();
        symlink(outer.path().join("secret"), root.join("absolute")).unwrap();
        symlink("/proc/self/root", root.join("magic")).unwrap();
        symlink("a/file", root.join("inside")).unwrap();
        for path in ["up", "absolute", "magic/etc/passwd"] {
            assert!(workspace.read(Path::new(path)).is_err(), "{path}");
        }
        assert_eq!(workspace.read(Path::new("inside")).unwrap(), b"inside");
    }

    #[test]
    fn output_follows_no_symlink_and_never_blocks() {
        let (outer, workspace) = workspace();
        let root = outer.path().join("workspace");
        symlink("../secret", root.join("a/id")).unwrap();
        symlink("file", root.join("a/link")).unwrap();
        nix::unistd::mkfifo(&root.join("a/fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        for path in ["a/id", "a/link", "a/fifo", "a/b", "../made"] {
            assert!(workspace.create(Path::new(path)).is_err(), "{path}");
        }
        assert!(workspace.read(Path::new("a/fifo")).is_err());
        let mut made = workspace.create(Path::new("a/new")).unwrap();
        made.write_all(b"id").unwrap();
        assert_eq!(std::fs::read(root.join("a/new")).unwrap(), b"id");
        assert_eq!(
            std::fs::read(outer.path().join("secret")).unwrap(),
            b"secret"
        );
    }
}
