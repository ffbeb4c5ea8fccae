//! The guard: a thread of PID 1 that sleeps as long as the head room lasts, and its handle.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::{io, thread};

use nix::fcntl::OFlag;
use nix::unistd::{pipe2, read};
use tracing::{info, warn};

use crate::levels::{Levels, Reader};
use crate::pace;
use crate::record::{Kill, Killer};
use crate::scan::Scanner;
use crate::scope::Scope;
use crate::shared::{KEPT, Mode, Settings, Shared};
use crate::watch::Watch;

/// Enough for the buffers on its stack.
const STACK: usize = 128 << 10;

/// A running guard. It ends when the value is dropped.
#[derive(Debug)]
pub struct Guard {
    shared: Arc<Shared>,
    events: OwnedFd,
    seen: usize,
    thread: Option<JoinHandle<()>>,
}

impl Guard {
    /// Starts the guard. `None` if there is nothing to guard: no limit, or files that cannot be read; the log says which.
    #[must_use]
    pub fn start(settings: Settings, scope: Scope) -> Option<Self> {
        let levels = match Levels::open() {
            Ok(levels) => levels,
            Err(error) => {
                info!(%error, "the memory of the container is not watched: its cgroup cannot be read");
                return None;
            }
        };
        let mut reader = Reader::default();
        let Some(tightest) = levels.tightest(&mut reader) else {
            info!("the memory of the container is not watched: it has no limit");
            return None;
        };
        let acts = settings.mode == Mode::On || levels.kills_group();
        let limit = tightest.usage.limit;
        let headroom = settings
            .headroom
            .unwrap_or_else(|| pace::default_headroom(limit))
            .min(limit / 2);
        info!(
            limit_mib = limit >> 20,
            headroom_mib = headroom >> 20,
            acts,
            "the memory of the container is watched"
        );
        match Self::spawn(settings, scope, levels, (acts, limit)) {
            Ok(guard) => Some(guard),
            Err(error) => {
                warn!(%error, "the memory of the container is not watched: no thread or descriptor is to be had");
                None
            }
        }
    }

    fn spawn(
        settings: Settings,
        scope: Scope,
        levels: Levels,
        (acts, limit): (bool, u64),
    ) -> io::Result<Self> {
        let (events, notify) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        let kernel_kills_before = levels.kernel_kills(&mut Reader::default());
        let shared = Arc::new(Shared {
            scope,
            levels,
            acts,
            settings,
            stop: AtomicBool::new(false),
            active: AtomicBool::new(false),
            peak: AtomicU64::new(0),
            limit: AtomicU64::new(limit),
            kills: Mutex::new(Vec::with_capacity(KEPT)),
            guard_kills: AtomicU64::new(0),
            kernel_kills_before,
            notify,
        });
        let mut watch = Watch::new(Arc::clone(&shared), Scanner::open()?);
        let thread = thread::Builder::new()
            .name("memory-guard".to_owned())
            .stack_size(STACK)
            .spawn(move || watch.run())?;
        if let Scope::Builds(builds) = &shared.scope {
            builds.wake_on_start(thread.thread().clone());
        }
        Ok(Self {
            shared,
            events,
            seen: 0,
            thread: Some(thread),
        })
    }

    /// The runner has this pid now.
    pub fn set_runner(&self, pid: i32) {
        if let Scope::Job(spared) = &self.shared.scope {
            spared.lock().unwrap_or_else(PoisonError::into_inner).runner = pid;
        }
    }

    /// Watches from now on, or no longer: a container without a job costs nothing. Builds switch it by themselves.
    pub fn set_active(&self, active: bool) {
        if self.shared.active.swap(active, Relaxed) != active
            && let Some(thread) = &self.thread
        {
            thread.thread().unpark();
        }
    }

    /// The name of the container in the pod.
    #[must_use]
    pub fn container(&self) -> &'static str {
        self.shared.settings.container
    }

    /// Readable when [`Guard::new_kills`] has something.
    #[must_use]
    pub fn events(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }

    /// The kills since the last call. Empties [`Guard::events`].
    pub fn new_kills(&mut self) -> Vec<Kill> {
        let mut buffer = [0; 64];
        while read(&self.events, &mut buffer).is_ok_and(|count| count == buffer.len()) {}
        let kills = self.shared.kills();
        let new = kills.get(self.seen..).unwrap_or_default().to_vec();
        self.seen = kills.len();
        new
    }

    /// How many processes the kernel has killed since the guard's start, as of now.
    #[must_use]
    pub fn kernel_kills(&self) -> u64 {
        self.shared.kernel_kills(&mut Reader::default())
    }

    /// The limit as the guard read it last, in bytes.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.shared.limit.load(Relaxed)
    }

    /// What the report says of memory. The peak is what the guard saw; between two looks there may have been more.
    #[must_use]
    pub fn report(&self) -> report::MemoryReport {
        let kills = self.shared.kills();
        let kept = kills.iter().map(|kill| report::MemoryKill {
            name: kill.name(),
            pid: kill.pid,
            bytes: kill.bytes,
            processes: kill.processes,
            by: match kill.killer {
                Killer::Guard | Killer::GuardAll => report::KilledBy::Supervisor,
                Killer::Kernel => report::KilledBy::Kernel,
            },
        });
        report::MemoryReport {
            limit_bytes: self.limit(),
            peak_bytes: self.shared.peak.load(Relaxed),
            acts: self.shared.acts,
            supervisor_kills: self.shared.guard_kills.load(Relaxed),
            kernel_kills: self.kernel_kills(),
            kills: kept.take(report::MemoryReport::KILLS).collect(),
        }
    }
}

impl Guard {
    /// Ends the thread. What it has seen until then stays.
    pub fn stop(&mut self) {
        self.shared.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It sleeps for a second at most, and unpark ends that.
            let _ = thread.join();
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.stop();
    }
}
