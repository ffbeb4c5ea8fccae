//! What the guard's thread and its handle share.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::unistd::write;

use crate::levels::{Levels, Reader};
use crate::record::{Kill, Killer};
use crate::scope::Scope;

/// The setting `memory.guard`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Kill if the kernel would kill the whole container, else only watch.
    Auto,
    /// Kill.
    On,
}

/// The settings of a guard.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Whether it kills.
    pub mode: Mode,
    /// The head room in bytes at which it acts. `None`: 32 MiB, and an eighth of a limit below 256 MiB.
    pub headroom: Option<u64>,
    /// The name of the container in the pod, for sentences.
    pub container: &'static str,
}

/// More kills are counted, and not kept one by one.
pub(crate) const KEPT: usize = 64;
/// What thread and handle share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) scope: Scope,
    pub(crate) levels: Levels,
    pub(crate) acts: bool,
    pub(crate) settings: Settings,
    pub(crate) stop: AtomicBool,
    pub(crate) active: AtomicBool,
    /// The highest use that could not be reclaimed, and the limit at the last look, in bytes.
    pub(crate) peak: AtomicU64,
    pub(crate) limit: AtomicU64,
    pub(crate) kills: Mutex<Vec<Kill>>,
    pub(crate) guard_kills: AtomicU64,
    pub(crate) kernel_kills_before: u64,
    /// Readable when there are new kills.
    pub(crate) notify: OwnedFd,
}

impl Shared {
    pub(crate) fn kills(&self) -> MutexGuard<'_, Vec<Kill>> {
        self.kills.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a kill for log and report. The room for it exists already.
    pub(crate) fn record(&self, kill: Kill) {
        if kill.killer != Killer::Kernel {
            self.guard_kills.fetch_add(kill.processes, Relaxed);
        }
        let mut kills = self.kills();
        if kills.len() < KEPT {
            kills.push(kill);
        }
        drop(kills);
        // A full pipe is readable already.
        let _ = write(&self.notify, b"k");
    }

    /// How many processes the kernel has killed since the start.
    pub(crate) fn kernel_kills(&self, reader: &mut Reader) -> u64 {
        let all = self.levels.kernel_kills(reader);
        all.saturating_sub(self.kernel_kills_before)
    }
}
