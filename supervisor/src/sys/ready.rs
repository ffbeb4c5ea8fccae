//! Waiting for a descriptor on tokio's event loop.
#![allow(unsafe_code)]

use std::os::fd::BorrowedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Registers `fd` with the running event loop, for reading.
///
/// # Errors
/// As epoll_ctl(2).
pub fn watch(fd: BorrowedFd<'_>) -> std::io::Result<AsyncFd<BorrowedFd<'_>>> {
    // SAFETY: a BorrowedFd stays open, and the same number, for longer than the registration that holds it.
    unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }.map_err(Into::into)
}
