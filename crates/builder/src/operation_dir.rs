//! The private directories of one operation. They have a random name and are held open.
//!
//! A process under the job's control may have written the files in them. So PID 1 opens no file there by a path, and follows
//! no symlink.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{
    AtFlags, CWD, Dir, Mode, OFlags, ResolveFlags, chmod, mkdirat, openat, openat2, unlinkat,
};

use super::paths::{SMALL_FILE, require_regular};

/// The name of the parent directory of all operations.
pub(super) const PARENT: &str = "operations";
/// The name of an operation's TMPDIR, in its directory on the volume.
pub(super) const TEMPORARY: &str = "tmp";

/// The depth to which directories without permissions are removed. The wipe removes deeper ones.
const MAX_DEPTH: usize = 100;

/// The parent directories, in memory and on the builder's volume.
#[derive(Debug)]
pub(super) struct OperationDirs {
    memory: Arc<OwnedFd>,
    disk: Arc<OwnedFd>,
}

/// The directories of one operation. Dropping it removes them.
#[derive(Debug)]
pub(super) struct OperationDir {
    memory: Half,
    disk: Half,
}

/// One of the two directories, held open. Dropping it removes it.
#[derive(Debug)]
struct Half {
    entry: Entry,
    fd: OwnedFd,
}

/// The name of a directory in an open one. Dropping it removes the directory.
#[derive(Debug)]
struct Entry {
    parent: Arc<OwnedFd>,
    name: String,
}

impl Half {
    fn create(parent: &Arc<OwnedFd>, name: &str) -> Result<Self> {
        mkdirat(parent, name, Mode::RWXU)?;
        let entry = Entry {
            parent: Arc::clone(parent),
            name: name.to_owned(),
        };
        let fd = open(parent, Path::new(name))?;
        Ok(Self { entry, fd })
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let path = through(&self.parent, &self.name);
        // The wipe removes files of subordinate ids later.
        let _ = std::fs::remove_dir_all(&path).or_else(|_| {
            open_up(&open(&self.parent, Path::new(&self.name))?, MAX_DEPTH)?;
            std::fs::remove_dir_all(&path)
        });
    }
}

/// Gives the directories in a directory back their permissions: the view of a context has directories as the job has them. No
/// process of the operation is left that could replace one. It follows no symlink all the same.
fn open_up(directory: &OwnedFd, depth: usize) -> Result<()> {
    // One of a subordinate id stays as it is.
    let _ = chmod(through(directory, ""), Mode::RWXU);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let entries = Dir::new(openat(directory, ".", flags, Mode::empty())?)?;
    for entry in entries.flatten() {
        let name = entry.file_name();
        if depth == 0 || matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        if let Ok(inner) = openat(directory, name, flags, Mode::empty()) {
            let _ = open_up(&inner, depth - 1);
        }
    }
    Ok(())
}

/// The place of one half of an operation's directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Medium {
    /// The private directory in memory.
    Memory,
    /// The builder's volume.
    Disk,
}

impl OperationDirs {
    /// Creates both parent directories again, without the leftovers of a builder that was killed.
    pub(super) fn prepare(runtime: &Path, volume: &Path) -> Result<Self> {
        let parent = |outer: &Path| {
            let outer = open(CWD, outer)?;
            // It is missing at the first start.
            let _ = std::fs::remove_dir_all(through(&outer, PARENT));
            // Files of subordinate ids stay. The builder neither trusts nor uses them.
            match mkdirat(&outer, PARENT, Mode::RWXU) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(errno) => return Err(Error::from(errno)),
            }
            open(&outer, Path::new(PARENT)).map(Arc::new)
        };
        Ok(Self {
            memory: parent(runtime)?,
            disk: parent(volume)?,
        })
    }

    /// Creates the directories of a new operation.
    pub(super) fn create(&self) -> Result<OperationDir> {
        let name = linux::files::random_name()?;
        let directory = OperationDir {
            memory: Half::create(&self.memory, &name)?,
            disk: Half::create(&self.disk, &name)?,
        };
        mkdirat(&directory.disk.fd, TEMPORARY, Mode::RWXU)?;
        Ok(directory)
    }
}

impl OperationDir {
    /// Returns its name beneath both parents.
    pub(super) fn name(&self) -> &str {
        &self.memory.entry.name
    }

    fn directory(&self, medium: Medium) -> &OwnedFd {
        match medium {
            Medium::Memory => &self.memory.fd,
            Medium::Disk => &self.disk.fd,
        }
    }

    /// Writes a private file in memory. It replaces a file of that name, and never writes to that.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        match unlinkat(&self.memory.fd, name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = openat(&self.memory.fd, name, flags | OFlags::NOFOLLOW, mode)?;
        File::from(file).write_all(content)
    }

    /// Opens a file that the operation wrote. It must be a regular file in the directory itself.
    pub(super) fn open(&self, medium: Medium, name: &str) -> Result<File> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH
            | ResolveFlags::NO_SYMLINKS
            | ResolveFlags::NO_MAGICLINKS
            | ResolveFlags::NO_XDEV;
        let file = openat2(
            self.directory(medium),
            name,
            flags | OFlags::NOFOLLOW,
            Mode::empty(),
            resolve,
        )?;
        let file = File::from(file);
        require_regular(&file)?;
        Ok(file)
    }

    /// Reads such a file.
    pub(super) fn read(&self, medium: Medium, name: &str) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        self.open(medium, name)?
            .take(SMALL_FILE + 1)
            .read_to_end(&mut content)?;
        if content.len() as u64 > SMALL_FILE {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("it has more than {} MiB", SMALL_FILE >> 20),
            ));
        }
        Ok(content)
    }
}

/// Returns a path to a file in an open directory. It stays valid if that directory is renamed.
fn through(directory: &OwnedFd, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{name}", directory.as_raw_fd()))
}

fn open(parent: impl rustix::fd::AsFd, path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(parent, path, flags, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn operation_dirs() -> (tempfile::TempDir, OperationDirs) {
        let outer = tempfile::tempdir().unwrap();
        for side in ["memory", "disk"] {
            std::fs::create_dir(outer.path().join(side)).unwrap();
        }
        let operation_dirs =
            OperationDirs::prepare(&outer.path().join("memory"), &outer.path().join("disk"));
        (outer, operation_dirs.unwrap())
    }

    #[test]
    fn refuses_planted_files() {
        let (outer, operation_dirs) = operation_dirs();
        let directory = operation_dirs.create().unwrap();
        let secret = outer.path().join("secret");
        std::fs::write(&secret, "secret").unwrap();
        let path = outer
            .path()
            .join("disk")
            .join(PARENT)
            .join(directory.name());
        symlink(&secret, path.join("link")).unwrap();
        symlink("..", path.join("up")).unwrap();
        nix::unistd::mkfifo(&path.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        for name in ["link", "up/x", "../x", "fifo", "."] {
            assert!(directory.open(Medium::Disk, name).is_err(), "{name}");
        }
        std::fs::write(path.join("out"), "made").unwrap();
        assert_eq!(directory.read(Medium::Disk, "out").unwrap(), b"made");
        symlink(&secret, path.join("plan")).unwrap();
        directory.write("plan", b"plan").unwrap();
        assert_eq!(std::fs::read(&secret).unwrap(), b"secret");
    }

    #[test]
    fn keeps_its_directory_after_a_rename() {
        let (outer, operation_dirs) = operation_dirs();
        let directory = operation_dirs.create().unwrap();
        directory.write("plan", b"ours").unwrap();
        let parent = outer.path().join("memory").join(PARENT);
        std::fs::rename(parent.join(directory.name()), parent.join("moved")).unwrap();
        std::fs::create_dir(parent.join(directory.name())).unwrap();
        std::fs::write(parent.join(directory.name()).join("plan"), "theirs").unwrap();
        assert_eq!(directory.read(Medium::Memory, "plan").unwrap(), b"ours");
    }

    #[test]
    fn directories_have_unique_names_and_are_removed() {
        let (outer, operation_dirs) = operation_dirs();
        let (one, two) = (
            operation_dirs.create().unwrap(),
            operation_dirs.create().unwrap(),
        );
        assert_ne!(one.name(), two.name());
        drop((one, two));
        for side in ["memory", "disk"] {
            let parent = outer.path().join(side).join(PARENT);
            assert_eq!(std::fs::read_dir(parent).unwrap().count(), 0);
        }
    }

    #[test]
    fn nothing_stays_in_memory_if_the_disk_refuses() {
        let (outer, operation_dirs) = operation_dirs();
        // Nothing can be created in a removed directory.
        std::fs::remove_dir(outer.path().join("disk").join(PARENT)).unwrap();
        operation_dirs.create().unwrap_err();
        let parent = outer.path().join("memory").join(PARENT);
        assert_eq!(std::fs::read_dir(parent).unwrap().count(), 0);
    }
}
