//! Emptying one tree, with as many threads as it is worth.
//!
//! A directory is listed in batches. What is no directory goes at once; directories become tasks, and
//! the rest of the listing a task beneath them. The last task of a directory removes it.

use std::ffi::CStr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::{Builder, Scope};

use rustix::io::Errno;

use super::deep::{self, Names};
use super::directory::{Directory, Place};
use super::entries::{Batch, Limits, Stopped};
use super::limits;
use super::open::{self, Opener};
use super::queue::Queue;
use super::remove::{self, Removed};
use super::tally::Tally;
use super::volume;

/// Entries a batch.
const ENTRIES: usize = 4096;
/// Directories that may wait before batches get small.
const WAITING: usize = 8192;

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
    volume: bool,
}

/// Empties the directory `path`; it stays itself. What fails is in the tally.
///
/// # Errors
/// Why the directory cannot be opened.
pub(super) fn empty(
    opener: Opener,
    path: &Path,
    roots: &[PathBuf],
    tally: &Tally,
) -> Result<(), Errno> {
    Walk::new(opener, path, roots, tally)?.run();
    Ok(())
}

/// Removes what lies in the directory `path` itself and is no directory.
///
/// # Errors
/// As [`empty`].
pub(super) fn files(
    opener: Opener,
    path: &Path,
    roots: &[PathBuf],
    tally: &Tally,
) -> Result<(), Errno> {
    Walk::new(opener, path, roots, tally)?.run_flat();
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
    fn new(
        opener: Opener,
        path: &Path,
        roots: &'a [PathBuf],
        tally: &'a Tally<'a>,
    ) -> Result<Self, Errno> {
        let fd = open_root(opener, path)?;
        let open = Arc::new(AtomicUsize::new(0));
        Ok(Self {
            opener,
            tally,
            roots,
            volume: volume::is_mount_point(opener, path, &fd),
            queue: Queue::new(),
            root: Directory::new(fd, Place::Root(path.to_owned()), &open),
            open,
            most_open: limits::most_open(),
            names: Names::default(),
        })
    }

    /// One level, by this thread alone.
    fn run_flat(&self) {
        let mut scratch = Scratch::default();
        let limits = Limits {
            entries: ENTRIES,
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
        let helpers = limits::helpers(&self.root);
        self.queue
            .push_all(&mut vec![Task::List(Arc::clone(&self.root))]);
        std::thread::scope(|scope| {
            let mut waiting = helpers;
            self.work(|| {
                if waiting > 0 && self.worth_helpers() {
                    self.start(scope, std::mem::take(&mut waiting));
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
                self.opener
                    .child(parent, name)
                    .map_err(|errno| unlocked.err().unwrap_or(errno))
            }
            other => other,
        }
    }

    /// One batch after the other, until there is a directory to go into.
    fn list(&self, dir: &Arc<Directory>, scratch: &mut Scratch) {
        loop {
            let room = WAITING.saturating_sub(self.queue.len());
            let limits = Limits {
                entries: ENTRIES,
                directories: room.clamp(16, ENTRIES),
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

    fn remove_files(&self, dir: &Arc<Directory>, scratch: &mut Scratch) {
        let Scratch { batch, tasks } = scratch;
        for (number, name) in batch.files().enumerate() {
            if number % 64 == 63 && self.tally.over() {
                return;
            }
            if !self.remove_file(dir, name) {
                tasks.push(Task::Enter(Arc::clone(dir), name.into()));
            }
        }
    }

    /// False for a directory, whatever the listing said.
    fn remove_file(&self, dir: &Arc<Directory>, name: &CStr) -> bool {
        match remove::file(dir, name) {
            Ok(Removed::Freed(bytes)) => {
                self.tally.files.fetch_add(1, Relaxed);
                self.tally.bytes.fetch_add(bytes, Relaxed);
            }
            Ok(Removed::Absent) => {}
            Ok(Removed::Directory) => return false,
            Err(errno) => self.failed(dir, name, errno),
        }
        true
    }

    /// What was a directory when it was listed; if it is one again, it is found in the next round.
    fn remove_other(&self, dir: &Arc<Directory>, name: &CStr) {
        self.remove_file(dir, name);
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

    /// One thing less that `dir` waits for; the last removes it, and so on upwards.
    fn done(&self, dir: &Arc<Directory>) {
        let mut dir = Arc::clone(dir);
        while dir.one_done() {
            if self.tally.over() || self.goes_on(&dir) {
                return;
            }
            match dir.parent() {
                Some(parent) => dir = Arc::clone(parent),
                None => return,
            }
        }
    }

    /// Removes a directory whose entries are done with; true where it must be listed again.
    fn goes_on(&self, dir: &Arc<Directory>) -> bool {
        let again = match dir.to_remove() {
            Some((parent, name)) => self.remove_directory(parent, name, dir),
            None => self.keep_directory(dir),
        };
        if again {
            self.queue.push_all(&mut vec![Task::List(Arc::clone(dir))]);
        }
        again
    }

    fn remove_directory(&self, parent: &Arc<Directory>, name: &CStr, dir: &Arc<Directory>) -> bool {
        match remove::directory(parent, name, dir) {
            Ok(Removed::Freed(_)) => {
                self.tally.directories.fetch_add(1, Relaxed);
            }
            Ok(_) => {}
            // Whatever the reason: permission is asked for before emptiness.
            Err(_) if dir.again_for_moved() => return true,
            Err(Errno::NOTEMPTY) if dir.stuck.load(Relaxed) => parent.stuck.store(true, Relaxed),
            Err(Errno::NOTEMPTY) if dir.again() => return true,
            Err(errno) => self.failed(parent, name, errno),
        }
        false
    }

    /// A directory that stays is done when a listing found nothing.
    fn keep_directory(&self, dir: &Arc<Directory>) -> bool {
        let stuck = dir.stuck.load(Relaxed);
        let more = dir.saw.load(Relaxed) && !stuck;
        if dir.again_for_moved() || (more && dir.again()) {
            return true;
        }
        volume::forget_attributes(dir);
        if let Some(parent) = dir.parent() {
            parent.stuck.fetch_or(stuck, Relaxed);
        }
        false
    }

    fn failed(&self, dir: &Arc<Directory>, name: &CStr, errno: Errno) {
        dir.stuck.store(true, Relaxed);
        let path = if name == c"." {
            dir.path()
        } else {
            dir.path_of(name)
        };
        let other_root = errno == Errno::XDEV
            && self
                .roots
                .iter()
                .any(|root| root.as_os_str().as_encoded_bytes() == path);
        if !other_root {
            self.tally.failed(&path, errno);
        }
    }
}
