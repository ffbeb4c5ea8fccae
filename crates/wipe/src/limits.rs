//! How much of this machine a wipe takes: threads and descriptors.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit};
use rustix::fs::fstatfs;

/// So long one thread works alone. Starting the others takes about as long.
pub(super) const SINGLE_THREAD_TIME: Duration = Duration::from_millis(2);
/// The stack of a thread: nothing here recurses.
pub(super) const STACK_SIZE: usize = 256 * 1024;

/// On a disk a thread mostly waits for it, and the disk serves many at a time.
const DISK_THREADS: usize = 16;
/// A batch of entries: one a thread.
pub(super) const BATCH_SIZE: usize = 64 * 1024;
/// A batch of the one thread at a time that may read ahead, where inodes lie on a disk: 500,000 of them are
/// written back once when they are removed in order, and many times otherwise.
pub(super) const LARGE_BATCH_SIZE: usize = 10 << 20;
/// Descriptors that stay free for others in this process.
const RESERVED_DESCRIPTORS: usize = 64;
/// No tree needs more.
const MAX_OPEN: usize = 480;

const TMPFS_MAGIC: i64 = 0x0102_1994;
const RAMFS_MAGIC: i64 = 0x8584_58f6;

/// How many threads help the first one.
pub(super) fn helpers(in_memory: bool) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if in_memory {
        cores.min(DISK_THREADS)
    } else {
        DISK_THREADS
    };
    threads.saturating_sub(1).min(max_open() / 2)
}

/// What a file system in memory has free, in bytes; `None` for any other.
pub(super) fn free_memory(dir: &impl AsFd) -> Option<u64> {
    let found = fstatfs(dir).ok()?;
    let block = u64::try_from(found.f_bsize).ok()?;
    [TMPFS_MAGIC, RAMFS_MAGIC]
        .contains(&found.f_type)
        .then(|| found.f_bfree.saturating_mul(block))
}

/// How many directories may be open at a time.
pub(super) fn max_open() -> usize {
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((256, 256));
    let soft = usize::try_from(soft).unwrap_or(usize::MAX);
    (soft.saturating_sub(RESERVED_DESCRIPTORS) / 2).clamp(4, MAX_OPEN)
}
