//! Whose turn it is: so many builds, pulls and pushes run at once, and the others wait.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How often one who waits is looked after.
const TICK: Duration = Duration::from_millis(200);

/// All turns.
#[derive(Debug)]
pub(super) struct Semaphore {
    free: Mutex<u32>,
    permits: u32,
    changed: Condvar,
}

/// A turn; dropping it gives it to the next.
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

    /// Waits for a turn; `on_wait` is called once where there is something to wait for. Who has cancelled waits no longer.
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
