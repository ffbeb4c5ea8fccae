//! Paths of the job: resolved beneath the workspace, whatever the job swaps for a symlink meanwhile.
//!
//! Source: openat2(2), `RESOLVE_BENEATH` and `RESOLVE_NO_MAGICLINKS`. What was resolved is held as a descriptor.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, mkdirat, openat, openat2};

/// The most that is read of a file that is small by nature: a Containerfile, a secret.
pub(crate) const SMALL: u64 = 4 * 1024 * 1024;

/// The directory that job and builder share.
#[derive(Debug)]
pub struct Workspace {
    path: PathBuf,
    root: OwnedFd,
}

impl Workspace {
    /// Opens it.
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

    /// A path of the job relative to the workspace; `..` and symlinks in it are the kernel's to resolve.
    ///
    /// # Errors
    /// A sentence where it is none.
    pub fn relative(&self, directory: &Path, path: &Path) -> std::result::Result<PathBuf, String> {
        let whole = directory.join(path);
        let plain: PathBuf = whole
            .components()
            .filter(|part| !matches!(part, Component::CurDir))
            .collect();
        let beneath = plain.strip_prefix(&self.path).map_err(|_| {
            format!(
                "{} lies outside of {}, which is all that the builder shares with the job",
                path.display(),
                self.path.display()
            )
        })?;
        Ok(match beneath.as_os_str().is_empty() {
            true => PathBuf::from("."),
            false => beneath.to_owned(),
        })
    }

    /// Resolves a path to a descriptor without access, open(2) `O_PATH`.
    ///
    /// # Errors
    /// As openat2(2); `EXDEV` where it leads outside.
    pub fn resolve(&self, relative: &Path) -> Result<OwnedFd> {
        self.openat(relative, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
    }

    /// Reads a small regular file whole.
    ///
    /// # Errors
    /// As openat2(2); `InvalidInput` where it is no regular file, or is too large.
    pub fn read(&self, relative: &Path) -> Result<Vec<u8>> {
        // Opening a fifo must not wait for its writer.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let file = File::from(self.openat(relative, flags, Mode::empty())?);
        require_regular(&file)?;
        let mut content = Vec::new();
        file.take(SMALL + 1).read_to_end(&mut content)?;
        if content.len() as u64 > SMALL {
            let text = format!("it has more than {} MiB", SMALL >> 20);
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        Ok(content)
    }

    /// Opens a file for writing, made anew or emptied; a symlink in its place is not followed.
    ///
    /// # Errors
    /// As openat2(2); `InvalidInput` where it is no regular file.
    pub fn create(&self, relative: &Path) -> Result<File> {
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

    /// Makes a directory, unless it is there.
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

    /// The directory that holds a path's last component, and that component.
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
        // EAGAIN: something was renamed during the walk, and the kernel cannot tell whether it still is beneath.
        for _ in 0..100 {
            match openat2(&self.root, relative, flags, mode, resolve) {
                Err(rustix::io::Errno::AGAIN) => {}
                other => return other.map_err(Into::into),
            }
        }
        Err(rustix::io::Errno::AGAIN.into())
    }
}

/// Whatever else was opened in its place is closed again.
///
/// # Errors
/// `InvalidInput` where it is no regular file.
pub(super) fn require_regular(file: &File) -> Result<()> {
    if file.metadata()?.is_file() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidInput, "it is no regular file"))
}

/// What went wrong with a path, for the user.
#[must_use]
pub(crate) fn problem(path: &Path, error: &Error) -> String {
    if error.raw_os_error() == Some(rustix::io::Errno::XDEV.raw_os_error()) {
        return format!(
            "{}: leads out of the workspace (`..`, or a symlink that is absolute), which is all that the builder shares with the job",
            path.display()
        );
    }
    format!("{}: {error}", path.display())
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
    fn paths_are_taken_beneath_the_workspace_only() {
        let (outer, workspace) = workspace();
        let root = outer.path().join("workspace");
        let relative = |path: &str| workspace.relative(&root.join("a"), Path::new(path));
        assert_eq!(relative("file").unwrap(), Path::new("a/file"));
        assert_eq!(relative("./b/../file").unwrap(), Path::new("a/b/../file"));
        assert_eq!(relative(&root.to_string_lossy()).unwrap(), Path::new("."));
        assert!(relative("/etc/passwd").unwrap_err().contains("outside"));
        for path in ["../../secret", "b/../../../secret"] {
            let error = workspace.read(&relative(path).unwrap()).unwrap_err();
            assert!(problem(Path::new(path), &error).contains("out of the workspace"));
        }
    }

    #[test]
    fn no_symlink_leads_outside_and_those_inside_are_followed() {
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
    fn output_never_goes_through_a_symlink_and_never_waits() {
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
