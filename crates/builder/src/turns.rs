//! Whose turn it is: so many builds, pulls and pushes run at once, and the others wait.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How often one who waits is looked after.
const TICK: Duration = Duration::from_millis(200);

/// All turns.
#[derive(Debug)]
pub(super) struct Turns {
    free: Mutex<u32>,
    all: u32,
    changed: Condvar,
}

/// A turn; dropping it gives it to the next.
pub(super) struct Turn<'a>(&'a Turns);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.changed.notify_all();
    }
}

impl Turns {
    pub(super) fn new(all: u32) -> Self {
        Self {
            free: Mutex::new(all),
            all,
            changed: Condvar::new(),
        }
    }

    /// Waits for a turn; `told` is called once where there is something to wait for. Who has gone waits no longer.
    pub(super) fn take(&self, told: impl FnOnce(u32), gone: impl Fn() -> bool) -> Option<Turn<'_>> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if *free == 0 {
            told(self.all);
        }
        while *free == 0 {
            if gone() {
                return None;
            }
            free = self
                .changed
                .wait_timeout(free, TICK)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        *free -= 1;
        Some(Turn(self))
    }
}
