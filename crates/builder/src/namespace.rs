//! All processes of one build, known by their user namespace: none can leave it, however it hides.
//!
//! Source: user_namespaces(7). Another one can only be made within it, and is found by those around it.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tracing::warn;

use super::children::Awaited;
use init::is_pid_1;
use init::reap::Ended;
use linux::{libc_ext, procfs};

/// How long the kernel may take to carry out SIGKILL; longer only in uninterruptible sleep.
const DEATH: Duration = Duration::from_secs(10);

/// A user namespace. It is held open, so that its number is not given to another one.
#[derive(Debug)]
pub(crate) struct Namespace {
    number: u64,
    _held: File,
    /// Where code of the job runs in it, which may do all that it can to stay.
    sweeper: Mutex<Option<Awaited>>,
}

impl Namespace {
    /// The namespace of process `pid`.
    ///
    /// # Errors
    /// As open(2) on `/proc/PID/ns/user`.
    pub(crate) fn of(pid: i32, sweeper: Option<Awaited>) -> std::io::Result<Self> {
        let held = File::open(link(pid))?;
        let number = held.metadata()?.ino();
        Ok(Self {
            number,
            _held: held,
            sweeper: Mutex::new(sweeper),
        })
    }

    /// Kills every process in it, and waits until none is left.
    ///
    /// # Errors
    /// The pids that are still there.
    pub(crate) fn end(&self) -> Result<(), Vec<i32>> {
        let sweeper = self.sweeper.lock();
        if let Some(sweeper) = sweeper.unwrap_or_else(PoisonError::into_inner).take() {
            self.kill_but(sweeper.pid);
            if sweeper.end.recv_timeout(DEATH) != Ok(Ended::Exited(0)) {
                end_all();
            }
        }
        self.wait()
    }

    /// Buildah is among them, and when it has gone, the sweeper ends what escaped us.
    fn kill_but(&self, sweeper: i32) {
        kill(self.processes().into_iter().filter(|pid| *pid != sweeper));
    }

    fn wait(&self) -> Result<(), Vec<i32>> {
        let deadline = Instant::now() + DEATH;
        let mut pause = Duration::from_micros(200);
        loop {
            let left = self.processes();
            if left.is_empty() {
                return Ok(());
            }
            kill(left.iter().copied());
            if Instant::now() > deadline {
                return Err(left);
            }
            sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    fn processes(&self) -> Vec<i32> {
        // Ours is that of most processes, and never within another.
        let ours = std::fs::metadata("/proc/self/ns/user").map_or(0, |found| found.ino());
        let pids = procfs::pids().into_iter().flatten();
        // A zombie has no namespaces any more.
        pids.filter(|pid| {
            let number = std::fs::metadata(link(*pid)).map_or(0, |found| found.ino());
            number == self.number || (number != 0 && number != ours && self.is_around(*pid))
        })
        .collect()
    }

    /// Whether the process is in a namespace within this one, at any depth.
    fn is_around(&self, pid: i32) -> bool {
        let Ok(mut inner) = File::open(link(pid)) else {
            return false;
        };
        while let Ok(outer) = libc_ext::parent_namespace(&inner) {
            inner = outer.into();
            if inner
                .metadata()
                .is_ok_and(|found| found.ino() == self.number)
            {
                return true;
            }
        }
        false
    }
}

fn kill(pids: impl Iterator<Item = i32>) {
    for pid in pids {
        // It may have ended meanwhile.
        let _ = libc_ext::kill(pid, Signal::SIGKILL as i32);
    }
}

/// Nobody outlives its build, be it at the cost of the job's other builds: only a build's own code ends its sweeper.
fn end_all() {
    warn!("what a build left cannot be told from other builds: all of them are ended");
    if is_pid_1() {
        // There may be nobody.
        let _ = libc_ext::kill(-1, Signal::SIGKILL as i32);
    }
}

fn link(pid: i32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/ns/user"))
}
