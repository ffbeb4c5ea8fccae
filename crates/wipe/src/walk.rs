//! Emptying one tree, with as many threads as it is worth.
//!
//! A directory is listed in batches. What is no directory goes at once; directories become tasks, and
//! the rest of the listing a task beneath them. The last task of a directory removes it.

use std::ffi::CStr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::{Builder, Scope};

use rustix::io::Errno;

use super::deep::{self, Names};
use super::directory::{Directory, Listed, Place};
use super::entries::{self, Batch, Limits, Stopped};
use super::kept::Kept;
use super::limits;
use super::open::{self, Opener};
use super::queue::Queue;
use super::tally::Tally;
use super::volume;

/// Directories a batch.
const DIRECTORIES: usize = 4096;
/// Directories that may wait before batches get small.
const WAITING: usize = 8192;

mod ending;

enum Task {
    /// Open this directory and empty it.
    Enter(Arc<Directory>, Box<CStr>),
    /// List on.
    List(Arc<Directory>),
}

/// What a thread keeps for itself.
#[derive(Default)]
struct Scratch {
    batch: Batch,
    tasks: Vec<Task>,
}

/// A tree being emptied.
pub(super) struct Walk<'a> {
    opener: Opener,
    tally: &'a Tally<'a>,
    /// Roots of the same request: what is mounted there is theirs.
    roots: &'a [PathBuf],
    queue: Queue<Task>,
    root: Arc<Directory>,
    /// Directories that are open, and how many may be.
    open: Arc<AtomicUsize>,
    most_open: usize,
    names: Names,
    /// What was free at the begin, where that tells what was freed.
    free_before: Option<u64>,
    /// Somebody has a large batch.
    large: AtomicBool,
    volume: bool,
}

/// Empties directories; they stay themselves. What fails is in the tally.
pub(super) fn empty_all(opener: Opener, roots: &[PathBuf], tally: &Tally) {
    for root in roots {
        let walk = Walk::at(opener, root, roots, tally);
        note_absent(root, walk.map(|walk| walk.empty()), tally);
    }
}

/// Empties a directory to which no path leads any more.
pub(super) fn empty_kept(opener: Opener, kept: &Kept, roots: &[PathBuf], tally: &Tally) {
    let walk = kept.list().map(|fd| {
        let volume = kept.volume;
        Walk::new(opener, &kept.path, fd, volume, roots, tally)
    });
    note_absent(&kept.path, walk.map(|walk| walk.empty()), tally);
}

/// What is not there is empty.
fn note_absent(path: &Path, done: Result<(), Errno>, tally: &Tally) {
    if let Err(errno) = done {
        if errno != Errno::NOENT {
            tally.failed(path.as_os_str().as_encoded_bytes(), errno);
        }
    }
}

/// Removes what lies in the directory `path` itself and is no directory.
///
/// # Errors
/// Why the directory cannot be opened.
pub(super) fn files(
    opener: Opener,
    path: &Path,
    roots: &[PathBuf],
    tally: &Tally,
) -> Result<(), Errno> {
    let walk = Walk::at(opener, path, roots, tally)?;
    walk.run_flat();
    walk.count_memory();
    Ok(())
}

fn open_root(opener: Opener, path: &Path) -> Result<OwnedFd, Errno> {
    match open::root(opener, path) {
        Err(Errno::ACCESS) => {
            open::unlock_root(opener, path)?;
            open::root(opener, path)
        }
        opened => opened,
    }
}

impl<'a> Walk<'a> {
    fn at(
        opener: Opener,
        path: &Path,
        roots: &'a [PathBuf],
        tally: &'a Tally<'a>,
    ) -> Result<Self, Errno> {
        let fd = open_root(opener, path)?;
        let volume = volume::is_mount_point(opener, path, &fd).unwrap_or(false);
        Ok(Self::new(opener, path, fd, volume, roots, tally))
    }

    fn new(
        opener: Opener,
        path: &Path,
        fd: OwnedFd,
        volume: bool,
        roots: &'a [PathBuf],
        tally: &'a Tally<'a>,
    ) -> Self {
        let open = Arc::new(AtomicUsize::new(0));
        Self {
            opener,
            tally,
            roots,
            volume,
            free_before: limits::free_memory(&fd),
            large: AtomicBool::new(false),
            queue: Queue::new(),
            root: Directory::new(fd, Place::Root(path.to_owned()), &open),
            open,
            most_open: limits::most_open(),
            names: Names::default(),
        }
    }

    fn empty(&self) {
        self.run();
        self.count_memory();
    }

    /// A file system in memory knows at once what was freed; asking file by file takes as long as removing them.
    fn count_memory(&self) {
        let after = limits::free_memory(&self.root);
        if let (Some(before), Some(after)) = (self.free_before, after) {
            let freed = after.saturating_sub(before);
            self.tally.bytes.fetch_add(freed, Relaxed);
        }
    }

    /// One level, by this thread alone.
    fn run_flat(&self) {
        let mut scratch = Scratch::default();
        let limits = Limits {
            bytes: limits::BATCH,
            directories: usize::MAX,
        };
        while !self.tally.over() {
            let filled = scratch.batch.fill(&self.root, limits);
            self.remove_files(&self.root, &mut scratch);
            scratch.tasks.clear();
            if filled != Ok(Stopped::Full) {
                return;
            }
        }
    }

    fn run(&self) {
        self.queue
            .push_all(&mut vec![Task::List(Arc::clone(&self.root))]);
        std::thread::scope(|scope| {
            let mut alone = true;
            self.work(|| {
                if alone && self.worth_helpers() {
                    alone = false;
                    self.start(scope, limits::helpers(self.free_before.is_some()));
                }
            });
        });
    }

    /// Starting threads takes longer than emptying a small tree.
    fn worth_helpers(&self) -> bool {
        let waiting = self.queue.len();
        waiting >= 256 || (waiting >= 8 && self.tally.elapsed() >= limits::ALONE)
    }

    fn start<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, count: usize) {
        for _ in 0..count {
            let thread = Builder::new().stack_size(limits::STACK);
            // Where the cgroup allows no more threads, those there are do the work.
            if thread.spawn_scoped(scope, || self.work(|| {})).is_err() {
                break;
            }
        }
    }

    fn work(&self, mut between: impl FnMut()) {
        let mut scratch = Scratch::default();
        self.queue.work(|task| {
            let mut next = Some(task);
            while let Some(task) = next {
                if self.tally.over() {
                    self.queue.close();
                    return;
                }
                self.step(task, &mut scratch);
                // The newest task stays in this thread: nobody need be woken for it.
                next = scratch.tasks.pop();
                self.queue.push_all(&mut scratch.tasks);
                between();
            }
        });
    }

    fn step(&self, task: Task, scratch: &mut Scratch) {
        match task {
            Task::List(dir) => self.list(&dir, scratch),
            Task::Enter(parent, name) => {
                if let Some(dir) = self.enter(&parent, &name) {
                    self.list(&dir, scratch);
                }
            }
        }
    }

    /// Opens a directory; without one its parent waits for nothing here.
    fn enter(&self, parent: &Arc<Directory>, name: &CStr) -> Option<Arc<Directory>> {
        if self.open.load(Relaxed) >= self.most_open && !parent.is_root() {
            if deep::move_up(self.opener, &self.names, parent, name) {
                self.done(parent);
                return None;
            }
            // Not the kernel's own limit: others in this process need descriptors too.
            if self.open.load(Relaxed) >= 2 * self.most_open {
                self.failed(parent, name, Errno::MFILE);
                self.done(parent);
                return None;
            }
        }
        let keep = self.volume && parent.is_root() && volume::is_lost_and_found(parent, name);
        match self.open_child(parent, name) {
            Ok(fd) => {
                let place = Place::Below {
                    parent: Arc::clone(parent),
                    name: name.into(),
                    keep,
                };
                return Some(Directory::new(fd, place, &self.open));
            }
            Err(Errno::NOENT) => {}
            Err(Errno::LOOP | Errno::NOTDIR) => self.remove_other(parent, name),
            Err(Errno::MFILE | Errno::NFILE)
                if deep::move_up(self.opener, &self.names, parent, name) => {}
            Err(_) if keep => {}
            Err(errno) => self.failed(parent, name, errno),
        }
        self.done(parent);
        None
    }

    fn open_child(&self, parent: &Arc<Directory>, name: &CStr) -> Result<OwnedFd, Errno> {
        match self.opener.child(parent, name) {
            Err(Errno::ACCESS) => {
                parent.unlock();
                // The directory itself may be closed, its parent, or both.
                let unlocked = self.opener.unlock(parent, name);
                // Without /proc nothing is unlocked, and that is no reason of its own.
                let unlocked = unlocked.err().filter(|&errno| errno != Errno::NOENT);
                let opened = self.opener.child(parent, name);
                opened.map_err(|errno| match errno {
                    Errno::ACCESS => unlocked.unwrap_or(errno),
                    errno => errno,
                })
            }
            other => other,
        }
    }

    fn list(&self, dir: &Arc<Directory>, scratch: &mut Scratch) {
        dir.begins(self.tally.elapsed());
        let large = self.free_before.is_none() && !self.large.swap(true, Relaxed);
        self.list_on(dir, scratch, large);
        if large {
            scratch.batch.shrink();
            self.large.store(false, Relaxed);
        }
    }

    /// One batch after the other, until there is a directory to go into.
    fn list_on(&self, dir: &Arc<Directory>, scratch: &mut Scratch, large: bool) {
        loop {
            let room = WAITING.saturating_sub(self.queue.len());
            let limits = Limits {
                bytes: if large {
                    limits::LARGE_BATCH
                } else {
                    limits::BATCH
                },
                directories: room.clamp(16, DIRECTORIES),
            };
            let stopped = match scratch.batch.fill(dir, limits) {
                Ok(stopped) => stopped,
                Err(errno) => {
                    self.failed(dir, c".", errno);
                    return self.done(dir);
                }
            };
            if !scratch.batch.is_empty() {
                dir.saw.store(true, Relaxed);
            }
            let stopped = self.bounded(dir, stopped, scratch.batch.len());
            self.remove_files(dir, scratch);
            self.add_tasks(dir, stopped, scratch);
            if stopped == Stopped::AtEnd {
                return self.done(dir);
            }
            if !scratch.tasks.is_empty() || self.tally.over() {
                return;
            }
        }
    }

    /// Where somebody makes entries as fast as they are removed, a listing has no end of its own.
    fn bounded(&self, dir: &Directory, stopped: Stopped, more: usize) -> Stopped {
        if stopped == Stopped::AtEnd {
            return stopped;
        }
        let is_long = match dir.listed(more, self.tally.elapsed()) {
            Listed::Little => false,
            Listed::TooMuch => true,
            // It was long, and may just be large.
            Listed::Much => {
                let there = open::again(dir).and_then(|again| entries::count(&again, self.tally));
                dir.expect(there.unwrap_or(u64::MAX));
                false
            }
        };
        if is_long { Stopped::AtEnd } else { stopped }
    }

    /// The tasks of a batch: taken from the end, so the listing's rest is at the start.
    fn add_tasks(&self, dir: &Arc<Directory>, stopped: Stopped, scratch: &mut Scratch) {
        let Scratch { batch, tasks } = scratch;
        let names = batch.directories().rev();
        let enter = names.map(|name| Task::Enter(Arc::clone(dir), name.into()));
        tasks.extend(enter);
        dir.wait_for(tasks.len());
        if stopped == Stopped::Full && !tasks.is_empty() {
            tasks.insert(0, Task::List(Arc::clone(dir)));
        }
    }
}
