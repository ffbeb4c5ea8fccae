//! Looking at a tree without touching it: the second look after a wipe, and `--dry-run`.
//!
//! Two descriptors whatever the depth: the way back up is `..`, checked against what was there before. Only from the
//! last level it may be unlisted, so the directory above that stays open.

use std::ffi::{CStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, RawDir, SeekFrom, Stat, fstat, openat, seek, statat,
};
use rustix::io::Errno;

use super::mountpoint;
use super::openat::{self, Opener};
use super::path;
use super::pinned_root::PinnedRoot;
use linux::errno::name_of;

/// So many paths are named of each root: the first ones must not hide what is in the next.
pub(super) const MAX_NAMED: usize = 20;
/// Deeper than this nothing is looked at, only said: what is pinned for the way back must stay small.
const MAX_DEPTH: usize = 1 << 16;
/// A path that is longer is not put together: its end is not named anyway.
const MAX_PATH: usize = 16 * 1024;

/// What is in one or more trees.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct TreeCount {
    pub(super) files: u64,
    pub(super) directories: u64,
    pub(super) bytes: u64,
    /// Of these, what could not be looked into.
    pub(super) unlisted: u64,
    /// The first of them; directories only where they are empty or cannot be looked into. A preview names only these.
    pub(super) unremoved: Vec<Unremoved>,
}

/// An entry by name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unremoved {
    /// Its path, the end cut off where it is very long.
    pub(super) path: Vec<u8>,
    /// The error's name, where the look went no further.
    pub(super) obstacle: Option<String>,
}

/// What a look is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// How much would be removed: bytes too, which takes a stat(2) a file.
    Preview,
    /// Whether a directory is empty.
    CheckEmpty,
    /// Whether it is gone itself.
    CheckRemoved,
}

/// A directory on the way from the root to where the look is.
struct Level {
    device: u64,
    inode: u64,
    /// Only while we are right beneath it.
    open: Option<OwnedFd>,
    /// Where its listing goes on.
    position: u64,
    /// How long the path is without the name below.
    path: usize,
    state: State,
}

/// What the listing of a directory has found so far.
#[derive(Default, Clone, Copy)]
struct State {
    entries: bool,
    /// There is something in it that stays for a reason, so it stays itself.
    excused: bool,
}

/// A look under way.
pub(super) struct Verifier<'a> {
    pub(super) opener: Opener,
    /// Roots of the request: what is mounted there is looked at by itself.
    pub(super) roots: &'a [PathBuf],
    pub(super) purpose: Purpose,
    pub(super) expired: &'a dyn Fn() -> bool,
    pub(super) count: TreeCount,
    /// How many may be named before the next root.
    pub(super) limit: usize,
    /// Roots that are mounted in another one: looked at by themselves.
    pub(super) separate_roots: Vec<PathBuf>,
}

enum Next {
    End,
    Below {
        fd: OwnedFd,
        name: Vec<u8>,
        position: u64,
        excused: bool,
    },
}

impl Verifier<'_> {
    /// Counts what is in the roots. Nothing there is nothing found.
    pub(super) fn visit_all(&mut self) {
        for root in path::outermost(self.roots) {
            self.visit(root);
        }
        while let Some(root) = self.separate_roots.pop() {
            self.visit(&root);
        }
    }

    fn visit(&mut self, path: &Path) {
        match openat::open_root(self.opener, path) {
            Ok(fd) => {
                let volume = mountpoint::is_mount_point(self.opener, path, &fd).unwrap_or(false);
                self.visit_open(fd, path, volume);
            }
            Err(Errno::NOENT) => {}
            Err(errno) => {
                self.limit = self.count.unremoved.len() + 1;
                self.count.files += 1;
                self.name(&[path.as_os_str().as_bytes()], Some(errno));
            }
        }
    }

    /// The same for a directory to which no path leads.
    pub(super) fn visit_pinned(&mut self, pinned: &PinnedRoot) {
        match pinned.open() {
            Ok(fd) => self.visit_open(fd, &pinned.path, pinned.is_mount_point),
            Err(errno) => {
                self.limit = self.count.unremoved.len() + 1;
                self.count.directories += 1;
                self.name(&[pinned.path.as_os_str().as_bytes()], Some(errno));
            }
        }
    }

    fn visit_open(&mut self, fd: OwnedFd, path: &Path, volume: bool) {
        let mut name = path.as_os_str().as_bytes().to_vec();
        self.limit = self.count.unremoved.len() + MAX_NAMED;
        if self.purpose == Purpose::CheckEmpty {
            self.check_attributes(&fd, &name);
        }
        let before = self.count.files + self.count.directories;
        if let Err(errno) = self.walk(fd, &mut name, volume) {
            self.count.directories += 1;
            self.name(&[&name], Some(errno));
        } else if self.purpose == Purpose::CheckRemoved {
            let empty = before == self.count.files + self.count.directories;
            self.count_directory(&name, empty);
        }
    }

    /// A directory that stays can hide data in its attributes.
    fn check_attributes(&mut self, dir: &OwnedFd, path: &[u8]) {
        match mountpoint::has_user_attributes(dir) {
            Ok(false) => {}
            Ok(true) => self.count_directory(path, true),
            Err(errno) => {
                self.count.directories += 1;
                self.name(&[path], Some(errno));
            }
        }
    }

    fn walk(&mut self, mut here: OwnedFd, path: &mut Vec<u8>, volume: bool) -> Result<(), Errno> {
        let mut above: Vec<Level> = Vec::new();
        let mut state = State::default();
        loop {
            let top = volume && above.is_empty();
            let below = above.len() < MAX_DEPTH;
            match self.list(&here, path, top, below, &mut state)? {
                Next::Below {
                    fd,
                    name,
                    position,
                    excused,
                } => {
                    let stat = fstat(&here)?;
                    if let Some(level) = above.last_mut() {
                        level.open = None;
                    }
                    let before = std::mem::replace(&mut here, fd);
                    above.push(Level {
                        device: stat.st_dev,
                        inode: stat.st_ino,
                        open: Some(before),
                        position,
                        path: path.len(),
                        state,
                    });
                    if path.len() < MAX_PATH {
                        path.push(b'/');
                        path.extend(name);
                    }
                    state = State {
                        entries: false,
                        excused,
                    };
                }
                Next::End => {
                    let Some(level) = above.pop() else {
                        return Ok(());
                    };
                    if !state.excused {
                        self.count_directory(path, !state.entries);
                    } else if self.purpose == Purpose::CheckEmpty {
                        self.check_attributes(&here, path);
                    }
                    path.truncate(level.path);
                    state = State {
                        entries: true,
                        excused: level.state.excused || state.excused,
                    };
                    here = up(&here, level)?;
                }
            }
        }
    }

    fn count_directory(&mut self, path: &[u8], empty: bool) {
        self.count.directories += 1;
        if empty {
            self.name(&[path], None);
        }
    }

    /// Counts entries until there is a directory to go into.
    fn list(
        &mut self,
        dir: &OwnedFd,
        path: &[u8],
        top: bool,
        below: bool,
        state: &mut State,
    ) -> Result<Next, Errno> {
        let mut buffer = [MaybeUninit::uninit(); 8192];
        let mut raw = RawDir::new(dir, &mut buffer);
        loop {
            // What is left gets named first: there is little of it, or it is soon found.
            let named =
                self.count.unremoved.len() >= self.limit || self.purpose == Purpose::Preview;
            if named && (self.expired)() {
                return Err(Errno::TIMEDOUT);
            }
            let found = match raw.next() {
                None | Some(Err(Errno::NOENT)) => return Ok(Next::End),
                Some(found) => found?,
            };
            let name = found.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let (directory, bytes) = self.kind(dir, name, found.file_type());
            if !directory {
                state.entries = true;
                self.count.files += 1;
                self.count.bytes += bytes;
                self.name(&[path, b"/", name.to_bytes()], None);
                continue;
            }
            let excused = top && mountpoint::is_lost_and_found(dir, name);
            let opened = if below {
                self.opener.child(dir, name)
            } else {
                Err(Errno::NAMETOOLONG)
            };
            match opened {
                Ok(fd) => {
                    let position = found.next_entry_cookie();
                    let name = name.to_bytes().to_vec();
                    return Ok(Next::Below {
                        fd,
                        name,
                        position,
                        excused,
                    });
                }
                Err(Errno::NOENT) => {}
                Err(_) if excused => state.excused = true,
                Err(Errno::XDEV) if self.is_root(path, name) => {
                    state.excused = true;
                    self.separate_roots.push(joined(path, name));
                }
                Err(errno) => {
                    state.entries = true;
                    self.count.directories += 1;
                    self.name(&[path, b"/", name.to_bytes()], Some(errno));
                }
            }
        }
    }

    fn kind(&self, dir: &OwnedFd, name: &CStr, listed: FileType) -> (bool, u64) {
        if listed != FileType::Unknown
            && (listed == FileType::Directory || self.purpose != Purpose::Preview)
        {
            return (listed == FileType::Directory, 0);
        }
        let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW);
        stat.map_or((false, 0), |stat| {
            let directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            (directory, u64::try_from(stat.st_blocks).unwrap_or(0) * 512)
        })
    }

    fn is_root(&self, path: &[u8], name: &CStr) -> bool {
        self.roots.contains(&joined(path, name))
    }

    fn name(&mut self, path: &[&[u8]], obstacle: Option<Errno>) {
        self.count.unlisted += u64::from(obstacle.is_some());
        let named = obstacle.is_some() || self.purpose != Purpose::Preview;
        if named && self.count.unremoved.len() < self.limit {
            self.count.unremoved.push(Unremoved {
                path: path.concat(),
                obstacle: obstacle.map(name_of),
            });
        }
    }
}

fn joined(path: &[u8], name: &CStr) -> PathBuf {
    let full = [path, b"/", name.to_bytes()].concat();
    PathBuf::from(OsString::from_vec(full))
}

/// The directory above, if that is still where we came from.
fn up(here: &OwnedFd, to: Level) -> Result<OwnedFd, Errno> {
    let above = match to.open {
        Some(above) => above,
        None => open_above(here, &to)?,
    };
    seek(&above, SeekFrom::Start(to.position))?;
    Ok(above)
}

fn open_above(here: &OwnedFd, to: &Level) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let above = openat(here, c"..", flags, Mode::empty())?;
    let Stat { st_dev, st_ino, .. } = fstat(&above)?;
    if (st_dev, st_ino) != (to.device, to.inode) {
        return Err(Errno::AGAIN);
    }
    Ok(above)
}
