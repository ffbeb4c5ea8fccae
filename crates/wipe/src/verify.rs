//! Counts what is in a tree without changing it: after a wipe, and for `--dry-run`.
//!
//! It holds two descriptors at any depth. It goes back up through `..` and compares that directory with the one it came
//! from. A directory may have been closed to us only at the last level, so the directory above that level stays open.

use std::ffi::{CStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use linux::errno::name_of;
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, RawDir, SeekFrom, Stat, fstat, openat, seek, statat,
};
use rustix::io::Errno;

use super::mountpoint;
use super::openat::{self, Opener};
use super::path;
use super::pinned_root::PinnedRoot;

/// The paths that are named of each root. With a limit for each root, every root gets some names.
pub(super) const MAX_NAMED: usize = 20;
/// A deeper directory is named and not listed: the way back up must take little memory.
const MAX_DEPTH: usize = 1 << 16;
/// The bytes after which a path grows no more. Its end is not named anyway.
const MAX_PATH: usize = 16 * 1024;

/// The contents of one or more trees.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct TreeCount {
    pub(super) files: u64,
    pub(super) directories: u64,
    pub(super) bytes: u64,
    /// The files and directories among them at which an error ended the count.
    pub(super) unlisted: u64,
    /// The first entries by name: files, empty directories, and those that are unlisted. A preview names the last kind only.
    pub(super) unremoved: Vec<Unremoved>,
}

/// An entry that is named.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unremoved {
    /// The path; the end of a very long one is cut off.
    pub(super) path: Vec<u8>,
    /// The name of the error that ended the count there.
    pub(super) obstacle: Option<String>,
}

/// The question that a count answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// How much would be removed? The bytes take one stat(2) for each file.
    Preview,
    /// Are the roots empty?
    CheckEmpty,
    /// Are the roots gone?
    CheckRemoved,
}

/// A directory between the root and the current one.
struct Level {
    device: u64,
    inode: u64,
    /// Open only while the current directory lies right beneath it.
    open: Option<OwnedFd>,
    /// The position at which its listing goes on.
    position: u64,
    /// The length of its path in bytes.
    path: usize,
    state: State,
}

/// What has been found in a directory so far.
#[derive(Default, Clone, Copy)]
struct State {
    entries: bool,
    /// An entry stays for a good reason, and so does the directory itself.
    excused: bool,
}

/// The current directory's place in its tree.
#[derive(Clone, Copy)]
struct Depth {
    /// It is the top of a mounted file system.
    top_of_mount: bool,
    /// Its directories are too deep to be listed.
    deepest: bool,
}

/// A count in progress.
pub(super) struct Verifier<'a> {
    pub(super) opener: Opener,
    /// The roots of the request. A root that is mounted in another one is counted separately.
    pub(super) roots: &'a [PathBuf],
    pub(super) purpose: Purpose,
    pub(super) expired: &'a dyn Fn() -> bool,
    pub(super) count: TreeCount,
    /// How many entries may be named before the next root.
    pub(super) limit: usize,
    /// Roots that are mounted in another one and still have to be counted.
    pub(super) separate_roots: Vec<PathBuf>,
}

enum Next {
    End,
    Enter(Subdirectory),
}

struct Subdirectory {
    fd: OwnedFd,
    name: Vec<u8>,
    /// The position of the listing after it.
    position: u64,
    excused: bool,
}

impl Verifier<'_> {
    /// Counts the contents of all roots. A missing root counts as empty.
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
                let mounted = mountpoint::is_mount_point(self.opener, path, &fd).unwrap_or(false);
                self.visit_open(fd, path, mounted);
            }
            Err(Errno::NOENT) => {}
            Err(errno) => {
                self.limit = self.count.unremoved.len() + 1;
                self.count.files += 1;
                self.name(&[path.as_os_str().as_bytes()], Some(errno));
            }
        }
    }

    /// Counts the contents of a root that is no longer at its path.
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

    fn visit_open(&mut self, fd: OwnedFd, path: &Path, mounted: bool) {
        let mut name = path.as_os_str().as_bytes().to_vec();
        self.limit = self.count.unremoved.len() + MAX_NAMED;
        if self.purpose == Purpose::CheckEmpty {
            self.check_attributes(&fd, &name);
        }
        let before = self.count.files + self.count.directories;
        if let Err(errno) = self.walk(fd, &mut name, mounted) {
            self.count.directories += 1;
            self.name(&[&name], Some(errno));
        } else if self.purpose == Purpose::CheckRemoved {
            let empty = before == self.count.files + self.count.directories;
            self.count_directory(&name, empty);
        }
    }

    /// Counts a directory that stays if data can be hidden in its attributes.
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

    fn walk(&mut self, mut here: OwnedFd, path: &mut Vec<u8>, mounted: bool) -> Result<(), Errno> {
        let mut above: Vec<Level> = Vec::new();
        let mut state = State::default();
        loop {
            let depth = Depth {
                top_of_mount: mounted && above.is_empty(),
                deepest: above.len() >= MAX_DEPTH,
            };
            match self.list(&here, path, depth, &mut state)? {
                Next::Enter(below) => {
                    let stat = fstat(&here)?;
                    if let Some(level) = above.last_mut() {
                        level.open = None;
                    }
                    let before = std::mem::replace(&mut here, below.fd);
                    above.push(Level {
                        device: stat.st_dev,
                        inode: stat.st_ino,
                        open: Some(before),
                        position: below.position,
                        path: path.len(),
                        state,
                    });
                    if path.len() < MAX_PATH {
                        path.push(b'/');
                        path.extend(below.name);
                    }
                    state = State {
                        entries: false,
                        excused: below.excused,
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
                    here = go_up(&here, level)?;
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

    /// Counts entries up to a directory that can be entered.
    fn list(
        &mut self,
        dir: &OwnedFd,
        path: &[u8],
        depth: Depth,
        state: &mut State,
    ) -> Result<Next, Errno> {
        let mut buffer = [MaybeUninit::uninit(); 8192];
        let mut raw = RawDir::new(dir, &mut buffer);
        loop {
            // Names come before the time limit: little is left, or it is found soon.
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
            } else if let Some((fd, excused)) = self.open_child(dir, path, name, depth, state) {
                return Ok(Next::Enter(Subdirectory {
                    fd,
                    name: name.to_bytes().to_vec(),
                    position: found.next_entry_cookie(),
                    excused,
                }));
            }
        }
    }

    /// Opens a directory, with whether it stays for a good reason. Counts it if it cannot be opened.
    fn open_child(
        &mut self,
        dir: &OwnedFd,
        path: &[u8],
        name: &CStr,
        depth: Depth,
        state: &mut State,
    ) -> Option<(OwnedFd, bool)> {
        let excused = depth.top_of_mount && mountpoint::is_lost_and_found(dir, name);
        let opened = if depth.deepest {
            Err(Errno::NAMETOOLONG)
        } else {
            self.opener.child(dir, name)
        };
        match opened {
            Ok(fd) => return Some((fd, excused)),
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
        None
    }

    /// Returns whether an entry is a directory, and its bytes if the purpose needs them.
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

/// Opens the directory above, and goes on with its listing.
fn go_up(here: &OwnedFd, to: Level) -> Result<OwnedFd, Errno> {
    let above = match to.open {
        Some(above) => above,
        None => open_parent(here, &to)?,
    };
    seek(&above, SeekFrom::Start(to.position))?;
    Ok(above)
}

/// Fails with `EAGAIN` if the directory was moved, so that its parent is another one now.
fn open_parent(here: &OwnedFd, to: &Level) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let above = openat(here, c"..", flags, Mode::empty())?;
    let Stat { st_dev, st_ino, .. } = fstat(&above)?;
    if (st_dev, st_ino) != (to.device, to.inode) {
        return Err(Errno::AGAIN);
    }
    Ok(above)
}
