//! Empties one tree with several threads.
//!
//! A directory is listed in batches. Files are removed at once. Directories become tasks, and the rest of the listing
//! becomes a task beneath them. The last task of a directory removes it.

use std::ffi::CStr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::{Builder, Scope};

use linux::filesystem;
use rustix::io::Errno;

use super::directory::{Directory, ListingSize, Position};
use super::flatten::{self, UniqueNames};
use super::limits;
use super::mountpoint;
use super::openat::{self, Opener};
use super::pinned_root::PinnedRoot;
use super::progress::Progress;
use super::queue::Queue;
use super::readdir::{self, Batch, BatchLimits, Filled};

/// The most directories in a batch.
const MAX_BATCH_DIRECTORIES: usize = 4096;
/// The number of waiting directories after which batches get small.
const MAX_WAITING: usize = 8192;

mod finish;

enum Task {
    /// Open this directory and empty it.
    Enter(Arc<Directory>, Box<CStr>),
    /// Go on with the listing of this directory.
    List(Arc<Directory>),
}

/// The buffers of one thread.
#[derive(Default)]
struct Buffers {
    batch: Batch,
    tasks: Vec<Task>,
}

/// A tree that is being emptied.
pub(super) struct Walk<'a> {
    opener: Opener,
    progress: &'a Progress<'a>,
    /// The roots of the same request. A file system that is mounted on one of them belongs to that root.
    roots: &'a [PathBuf],
    queue: Queue<Task>,
    root: Arc<Directory>,
    /// The number of open directories, and the highest allowed one.
    open: Arc<AtomicUsize>,
    max_open: usize,
    names: UniqueNames,
    /// The free bytes at the begin, if the file system is in memory.
    free_before: Option<u64>,
    /// A thread has a large batch.
    large: AtomicBool,
    is_mount_point: bool,
}

/// Empties directories, which stay themselves. Failures are recorded in `progress`.
pub(super) fn empty_all(opener: Opener, roots: &[PathBuf], progress: &Progress) {
    for root in roots {
        let walk = Walk::at(opener, root, roots, progress);
        note_absent(root, walk.map(|walk| walk.empty()), progress);
    }
}

/// Empties a root that is no longer at its path.
pub(super) fn empty_pinned(
    opener: Opener,
    pinned: &PinnedRoot,
    roots: &[PathBuf],
    progress: &Progress,
) {
    let walk = pinned.open().map(|fd| {
        let is_mount_point = pinned.is_mount_point;
        Walk::new(opener, &pinned.path, fd, is_mount_point, roots, progress)
    });
    note_absent(&pinned.path, walk.map(|walk| walk.empty()), progress);
}

/// Treats ENOENT as already empty.
fn note_absent(path: &Path, done: Result<(), Errno>, progress: &Progress) {
    if let Err(errno) = done
        && errno != Errno::NOENT
    {
        progress.record_failure(path.as_os_str().as_encoded_bytes(), errno);
    }
}

/// Removes the files right in the directory `path`, and no directories.
///
/// # Errors
/// As openat2(2), if the directory cannot be opened.
pub(super) fn files(
    opener: Opener,
    path: &Path,
    roots: &[PathBuf],
    progress: &Progress,
) -> Result<(), Errno> {
    let walk = Walk::at(opener, path, roots, progress)?;
    walk.run_flat();
    walk.count_memory();
    Ok(())
}

fn open_root_unlocking(opener: Opener, path: &Path) -> Result<OwnedFd, Errno> {
    match openat::open_root(opener, path) {
        Err(Errno::ACCESS) => {
            openat::unlock_root(opener, path)?;
            openat::open_root(opener, path)
        }
        opened => opened,
    }
}

impl<'a> Walk<'a> {
    fn at(
        opener: Opener,
        path: &Path,
        roots: &'a [PathBuf],
        progress: &'a Progress<'a>,
    ) -> Result<Self, Errno> {
        let fd = open_root_unlocking(opener, path)?;
        let is_mount_point = mountpoint::is_mount_point(opener, path, &fd).unwrap_or(false);
        Ok(Self::new(opener, path, fd, is_mount_point, roots, progress))
    }

    fn new(
        opener: Opener,
        path: &Path,
        fd: OwnedFd,
        is_mount_point: bool,
        roots: &'a [PathBuf],
        progress: &'a Progress<'a>,
    ) -> Self {
        let open = Arc::new(AtomicUsize::new(0));
        Self {
            opener,
            progress,
            roots,
            is_mount_point,
            free_before: filesystem::free_memory(&fd),
            large: AtomicBool::new(false),
            queue: Queue::new(),
            root: Directory::new(fd, Position::Root(path.to_owned()), &open),
            open,
            max_open: limits::max_open(),
            names: UniqueNames::default(),
        }
    }

    fn empty(&self) {
        self.run();
        self.count_memory();
    }

    /// Adds what the file system in memory has more free now. Counting file by file takes as long as removing them.
    fn count_memory(&self) {
        let after = filesystem::free_memory(&self.root);
        if let (Some(before), Some(after)) = (self.free_before, after) {
            let freed = after.saturating_sub(before);
            self.progress.bytes.fetch_add(freed, Relaxed);
        }
    }

    /// Removes the files of one level, in this thread alone.
    fn run_flat(&self) {
        let mut buffers = Buffers::default();
        let limits = BatchLimits {
            bytes: limits::BATCH_SIZE,
            directories: usize::MAX,
        };
        while !self.progress.is_over() {
            let filled = buffers.batch.fill(&self.root, limits);
            self.remove_files(&self.root, &mut buffers);
            buffers.tasks.clear();
            if filled != Ok(Filled::BatchFull) {
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
        waiting >= 256 || (waiting >= 8 && self.progress.elapsed() >= limits::SINGLE_THREAD_TIME)
    }

    fn start<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, count: usize) {
        for _ in 0..count {
            let thread = Builder::new().stack_size(limits::STACK_SIZE);
            // If the cgroup allows no more threads, the existing ones do the work.
            if thread.spawn_scoped(scope, || self.work(|| {})).is_err() {
                break;
            }
        }
    }

    fn work(&self, mut between: impl FnMut()) {
        let mut buffers = Buffers::default();
        self.queue.work(|task| {
            let mut next = Some(task);
            while let Some(task) = next {
                if self.progress.is_over() {
                    self.queue.close();
                    return;
                }
                self.step(task, &mut buffers);
                // The newest task stays in this thread, so that no other thread has to be woken.
                next = buffers.tasks.pop();
                self.queue.push_all(&mut buffers.tasks);
                between();
            }
        });
    }

    fn step(&self, task: Task, buffers: &mut Buffers) {
        match task {
            Task::List(dir) => self.list(&dir, buffers),
            Task::Enter(parent, name) => {
                if let Some(dir) = self.enter(&parent, &name) {
                    self.list(&dir, buffers);
                }
            }
        }
    }

    /// Opens a directory. Without one, the parent no longer waits for it.
    fn enter(&self, parent: &Arc<Directory>, name: &CStr) -> Option<Arc<Directory>> {
        if self.open.load(Relaxed) >= self.max_open && !parent.is_root() {
            if flatten::move_up(self.opener, &self.names, parent, name) {
                self.done(parent);
                return None;
            }
            // The kernel may allow more, but other parts of this process need descriptors too.
            if self.open.load(Relaxed) >= 2 * self.max_open {
                self.failed(parent, name, Errno::MFILE);
                self.done(parent);
                return None;
            }
        }
        let keep =
            self.is_mount_point && parent.is_root() && mountpoint::is_lost_and_found(parent, name);
        match self.open_child(parent, name) {
            Ok(fd) => {
                let position = Position::Below {
                    parent: Arc::clone(parent),
                    name: name.into(),
                    keep,
                };
                return Some(Directory::new(fd, position, &self.open));
            }
            Err(Errno::NOENT) => {}
            Err(Errno::LOOP | Errno::NOTDIR) => self.remove_other(parent, name),
            Err(Errno::MFILE | Errno::NFILE)
                if flatten::move_up(self.opener, &self.names, parent, name) => {}
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
                // Without /proc a directory cannot be unlocked, which is not the cause of the failure.
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

    fn list(&self, dir: &Arc<Directory>, buffers: &mut Buffers) {
        dir.begins(self.progress.elapsed());
        let large = self.free_before.is_none() && !self.large.swap(true, Relaxed);
        self.list_on(dir, buffers, large);
        if large {
            buffers.batch.shrink();
            self.large.store(false, Relaxed);
        }
    }

    /// Reads one batch after another, until there is a directory to enter.
    fn list_on(&self, dir: &Arc<Directory>, buffers: &mut Buffers, large: bool) {
        loop {
            let room = MAX_WAITING.saturating_sub(self.queue.len());
            let limits = BatchLimits {
                bytes: if large {
                    limits::LARGE_BATCH_SIZE
                } else {
                    limits::BATCH_SIZE
                },
                directories: room.clamp(16, MAX_BATCH_DIRECTORIES),
            };
            let stopped = match buffers.batch.fill(dir, limits) {
                Ok(stopped) => stopped,
                Err(errno) => {
                    self.failed(dir, c".", errno);
                    return self.done(dir);
                }
            };
            if !buffers.batch.is_empty() {
                dir.saw.store(true, Relaxed);
            }
            let stopped = self.bounded(dir, stopped, buffers.batch.len());
            self.remove_files(dir, buffers);
            self.add_tasks(dir, stopped, buffers);
            if stopped == Filled::EndOfDirectory {
                return self.done(dir);
            }
            if !buffers.tasks.is_empty() || self.progress.is_over() {
                return;
            }
        }
    }

    /// Ends a listing that another process prolongs as fast as its entries are removed.
    fn bounded(&self, dir: &Directory, stopped: Filled, more: usize) -> Filled {
        if stopped == Filled::EndOfDirectory {
            return stopped;
        }
        let is_long = match dir.listed(more, self.progress.elapsed()) {
            ListingSize::Normal => false,
            ListingSize::TooLarge => true,
            // The listing is long, and the directory may just be large.
            ListingSize::Large => {
                let there =
                    openat::reopen(dir).and_then(|again| readdir::count(&again, self.progress));
                dir.expect(there.unwrap_or(u64::MAX));
                false
            }
        };
        if is_long {
            Filled::EndOfDirectory
        } else {
            stopped
        }
    }

    /// Adds the tasks of a batch. They are taken from the end, so the rest of the listing is at the start.
    fn add_tasks(&self, dir: &Arc<Directory>, stopped: Filled, buffers: &mut Buffers) {
        let Buffers { batch, tasks } = buffers;
        let names = batch.directories().rev();
        let enter = names.map(|name| Task::Enter(Arc::clone(dir), name.into()));
        tasks.extend(enter);
        dir.wait_for(tasks.len());
        if stopped == Filled::BatchFull && !tasks.is_empty() {
            tasks.insert(0, Task::List(Arc::clone(dir)));
        }
    }
}
