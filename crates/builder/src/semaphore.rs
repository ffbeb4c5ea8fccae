//! Limits how many builds, pulls and pushes run at the same time. The others wait.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// The interval at which a waiting caller checks whether it was cancelled.
const TICK: Duration = Duration::from_millis(200);

/// A counting semaphore, sem_overview(7).
#[derive(Debug)]
pub(super) struct Semaphore {
    free: Mutex<u32>,
    permits: u32,
    changed: Condvar,
}

/// A permit. Dropping it releases it.
pub(super) struct Permit<'a>(&'a Semaphore);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.changed.notify_all();
    }
}

impl Semaphore {
    pub(super) fn new(permits: u32) -> Self {
        Self {
            free: Mutex::new(permits),
            permits,
            changed: Condvar::new(),
        }
    }

    /// Blocks until a permit is free. Calls `on_wait` once, with the number of permits, if it must block. Returns `None` once
    /// `cancelled()` is true.
    pub(super) fn acquire(
        &self,
        on_wait: impl FnOnce(u32),
        cancelled: impl Fn() -> bool,
    ) -> Option<Permit<'_>> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if *free == 0 {
            on_wait(self.permits);
        }
        while *free == 0 {
            if cancelled() {
                return None;
            }
            free = self
                .changed
                .wait_timeout(free, TICK)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        *free -= 1;
        Some(Permit(self))
    }
}
