//! How many builds run at once. The rest wait, and say so.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Places for builds.
#[derive(Debug)]
pub struct Places {
    free: Mutex<u32>,
    left: Condvar,
}

/// A place that is taken.
#[derive(Debug)]
pub struct Place<'a> {
    places: &'a Places,
    taken: bool,
}

impl Places {
    /// So many.
    #[must_use]
    pub fn new(count: u32) -> Self {
        Self {
            free: Mutex::new(count.max(1)),
            left: Condvar::new(),
        }
    }

    /// Takes a place; says it once if there is none, and gives up when nobody wants it any more.
    pub fn take(&self, say: impl FnOnce(), gone: impl Fn() -> bool) -> Place<'_> {
        let mut say = Some(say);
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            if let Some(say) = say.take() {
                say();
            }
            if gone() {
                return Place {
                    places: self,
                    taken: false,
                };
            }
            let waited = self.left.wait_timeout(free, Duration::from_millis(200));
            free = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *free -= 1;
        Place {
            places: self,
            taken: true,
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.taken {
            let free = self.places.free.lock();
            *free.unwrap_or_else(PoisonError::into_inner) += 1;
            self.places.left.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn who_finds_no_place_hears_of_it_and_who_has_gone_does_not_wait() {
        let places = Places::new(1);
        let said = Cell::new(false);
        let first = places.take(|| said.set(true), || false);
        assert!(!said.get());
        let second = places.take(|| said.set(true), || true);
        assert!(said.get());
        drop(second);
        drop(first);
        said.set(false);
        let _third = places.take(|| said.set(true), || false);
        assert!(!said.get());
    }
}
