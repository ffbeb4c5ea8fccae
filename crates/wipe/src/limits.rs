//! How many threads, descriptors and bytes of memory a wipe uses.

use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit};

/// One thread works alone for this time, because it takes about as long to start the others.
pub(super) const SINGLE_THREAD_TIME: Duration = Duration::from_millis(2);
/// The stack of a thread, in bytes. No function of the wipe recurses.
pub(super) const STACK_SIZE: usize = 256 * 1024;

/// On a disk most threads wait, and a disk serves many requests at a time.
const DISK_THREADS: usize = 16;
/// The bytes of entries that each thread reads at a time.
pub(super) const BATCH_SIZE: usize = 64 * 1024;
/// The bytes of entries that one thread at a time may read ahead on a disk.
///
/// If 500,000 inodes are removed in their order, the disk writes each of their blocks once; otherwise it does so many times.
pub(super) const LARGE_BATCH_SIZE: usize = 10 << 20;
/// Descriptors that stay free for other parts of this process.
const RESERVED_DESCRIPTORS: usize = 64;
/// No tree needs more open directories.
const MAX_OPEN: usize = 480;

/// Returns how many threads help the first one.
pub(super) fn helpers(in_memory: bool) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if in_memory {
        cores.min(DISK_THREADS)
    } else {
        DISK_THREADS
    };
    threads.saturating_sub(1).min(max_open() / 2)
}

/// Returns how many directories may be open at a time.
pub(super) fn max_open() -> usize {
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((256, 256));
    let soft = usize::try_from(soft).unwrap_or(usize::MAX);
    (soft.saturating_sub(RESERVED_DESCRIPTORS) / 2).clamp(4, MAX_OPEN)
}
