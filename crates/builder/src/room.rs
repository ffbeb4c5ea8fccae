//! The directories of one command line: made for it alone, under a name that nobody foresees, and held open.
//!
//! Whatever lies in them was written by a process that a job may have got hold of: PID 1 opens nothing there by a path,
//! and follows no symlink.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, mkdirat, openat, openat2, unlinkat};

use super::paths::require_regular;

/// The name of the directory that holds those of all command lines.
pub(super) const PARENT: &str = "operations";
/// The most that is read into memory of what a command line wrote, in bytes.
const SMALL: u64 = 4 * 1024 * 1024;

/// Where rooms are made: in memory, and on the builder's volume.
#[derive(Debug)]
pub(super) struct Rooms {
    memory: Arc<OwnedFd>,
    disk: Arc<OwnedFd>,
}

/// The directories of one command line; dropping it removes them.
#[derive(Debug)]
pub(super) struct Room {
    name: String,
    memory: Part,
    disk: Part,
}

#[derive(Debug)]
struct Part {
    parent: Arc<OwnedFd>,
    itself: OwnedFd,
}

/// One of a room's two directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Memory,
    Disk,
}

impl Rooms {
    /// Makes both parents anew; what a builder that was killed has left goes with the old ones.
    pub(super) fn prepare(runtime: &Path, volume: &Path) -> Result<Self> {
        let parent = |place: &Path| {
            let place = open(CWD, place)?;
            // Not there at the first start.
            let _ = std::fs::remove_dir_all(through(&place, PARENT));
            // Its content may belong to subordinate ids, and stays then; what is in it is not ours to trust or to use.
            match mkdirat(&place, PARENT, Mode::RWXU) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(errno) => return Err(Error::from(errno)),
            }
            open(&place, Path::new(PARENT)).map(Arc::new)
        };
        Ok(Self {
            memory: parent(runtime)?,
            disk: parent(volume)?,
        })
    }

    /// A room that was never there before.
    pub(super) fn make(&self) -> Result<Room> {
        let name = linux::files::random_name()?;
        let part = |parent: &Arc<OwnedFd>| {
            mkdirat(parent, &name, Mode::RWXU)?;
            Ok::<_, Error>(Part {
                parent: Arc::clone(parent),
                itself: open(parent, Path::new(&name))?,
            })
        };
        Ok(Room {
            memory: part(&self.memory)?,
            disk: part(&self.disk)?,
            name,
        })
    }
}

impl Room {
    /// Its name beneath both parents.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn side(&self, side: Side) -> &OwnedFd {
        match side {
            Side::Memory => &self.memory.itself,
            Side::Disk => &self.disk.itself,
        }
    }

    /// A private file in memory; one of that name is replaced, never written to.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        match unlinkat(&self.memory.itself, name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = openat(&self.memory.itself, name, flags | OFlags::NOFOLLOW, mode)?;
        File::from(file).write_all(content)
    }

    /// Opens what the command line wrote: a regular file of the room itself, or nothing.
    pub(super) fn open(&self, side: Side, name: &str) -> Result<File> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH
            | ResolveFlags::NO_SYMLINKS
            | ResolveFlags::NO_MAGICLINKS
            | ResolveFlags::NO_XDEV;
        let file = openat2(
            self.side(side),
            name,
            flags | OFlags::NOFOLLOW,
            Mode::empty(),
            resolve,
        )?;
        let file = File::from(file);
        require_regular(&file)?;
        Ok(file)
    }

    /// The same, read whole.
    pub(super) fn read(&self, side: Side, name: &str) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        self.open(side, name)?
            .take(SMALL + 1)
            .read_to_end(&mut content)?;
        if content.len() as u64 > SMALL {
            return Err(Error::new(ErrorKind::InvalidInput, "it is too large"));
        }
        Ok(content)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        for part in [&self.memory, &self.disk] {
            // What is left, because it belongs to subordinate ids, goes with the wipe.
            let _ = std::fs::remove_dir_all(through(&part.parent, &self.name));
        }
    }
}

/// A path to what lies in a directory that is held open, whatever its own path leads to by now.
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

    fn rooms() -> (tempfile::TempDir, Rooms) {
        let outer = tempfile::tempdir().unwrap();
        for side in ["memory", "disk"] {
            std::fs::create_dir(outer.path().join(side)).unwrap();
        }
        let rooms = Rooms::prepare(&outer.path().join("memory"), &outer.path().join("disk"));
        (outer, rooms.unwrap())
    }

    #[test]
    fn what_was_planted_for_an_output_is_not_opened() {
        let (outer, rooms) = rooms();
        let room = rooms.make().unwrap();
        let secret = outer.path().join("secret");
        std::fs::write(&secret, "secret").unwrap();
        let place = outer.path().join("disk").join(PARENT).join(room.name());
        symlink(&secret, place.join("link")).unwrap();
        symlink("..", place.join("up")).unwrap();
        nix::unistd::mkfifo(&place.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        for name in ["link", "up/x", "../x", "fifo", "."] {
            assert!(room.open(Side::Disk, name).is_err(), "{name}");
        }
        std::fs::write(place.join("out"), "made").unwrap();
        assert_eq!(room.read(Side::Disk, "out").unwrap(), b"made");
        symlink(&secret, place.join("plan")).unwrap();
        room.write("plan", b"plan").unwrap();
        assert_eq!(std::fs::read(&secret).unwrap(), b"secret");
    }

    #[test]
    fn a_room_is_what_it_was_when_its_path_leads_elsewhere() {
        let (outer, rooms) = rooms();
        let room = rooms.make().unwrap();
        room.write("plan", b"ours").unwrap();
        let parent = outer.path().join("memory").join(PARENT);
        std::fs::rename(parent.join(room.name()), parent.join("moved")).unwrap();
        std::fs::create_dir(parent.join(room.name())).unwrap();
        std::fs::write(parent.join(room.name()).join("plan"), "theirs").unwrap();
        assert_eq!(room.read(Side::Memory, "plan").unwrap(), b"ours");
    }

    #[test]
    fn rooms_differ_and_are_gone_afterwards() {
        let (outer, rooms) = rooms();
        let (one, two) = (rooms.make().unwrap(), rooms.make().unwrap());
        assert_ne!(one.name(), two.name());
        drop((one, two));
        for side in ["memory", "disk"] {
            let parent = outer.path().join(side).join(PARENT);
            assert_eq!(std::fs::read_dir(parent).unwrap().count(), 0);
        }
    }
}
