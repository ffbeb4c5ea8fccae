//! All processes of one build, known by their user namespace: none can leave it, however it hides.
//!
//! Source: user_namespaces(7). Another one can only be made within it, and is found by those around it.

use std::fs::{File, read_dir};
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
use linux::raw;

/// How long the kernel may take to carry out SIGKILL; longer only in uninterruptible sleep.
const DEATH: Duration = Duration::from_secs(10);

/// A user namespace. It is held open, so that its number is not given to another one.
#[derive(Debug)]
pub(crate) struct Namespace {
    number: u64,
    _held: File,
    /// Where code of the job runs in it, which may do all that it can to stay.
    killer: Mutex<Option<Awaited>>,
}

impl Namespace {
    /// The namespace of process `pid`.
    ///
    /// # Errors
    /// As open(2) on `/proc/PID/ns/user`.
    pub(crate) fn of(pid: i32, killer: Option<Awaited>) -> std::io::Result<Self> {
        let held = File::open(namespace_path(pid))?;
        let number = held.metadata()?.ino();
        Ok(Self {
            number,
            _held: held,
            killer: Mutex::new(killer),
        })
    }

    /// Kills every process in it, and waits until none is left.
    ///
    /// # Errors
    /// The pids that are still there.
    pub(crate) fn kill_all(&self) -> Result<(), Vec<i32>> {
        let killer = self.killer.lock();
        if let Some(killer) = killer.unwrap_or_else(PoisonError::into_inner).take() {
            self.kill_except(killer.pid);
            if killer.end.recv_timeout(DEATH) != Ok(Ended::Exited(0)) {
                kill_every_build();
            }
        }
        self.wait()
    }

    /// Buildah is among them, and when it has gone, the killer ends what escaped us.
    fn kill_except(&self, killer: i32) {
        kill(self.processes().into_iter().filter(|pid| *pid != killer));
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
        let entries = read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        // A zombie has no namespaces any more.
        pids.filter(|pid| {
            let number = std::fs::metadata(namespace_path(*pid)).map_or(0, |found| found.ino());
            number == self.number || (number != 0 && number != ours && self.encloses(*pid))
        })
        .collect()
    }

    /// Whether the process is in a namespace within this one, at any depth.
    fn encloses(&self, pid: i32) -> bool {
        let Ok(mut inner) = File::open(namespace_path(pid)) else {
            return false;
        };
        while let Ok(outer) = raw::parent_namespace(&inner) {
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
        let _ = raw::kill(pid, Signal::SIGKILL as i32);
    }
}

/// Nobody outlives its build, be it at the cost of the job's other builds: only a build's own code ends its killer.
fn kill_every_build() {
    warn!("what a build left cannot be told from other builds: all of them are ended");
    if is_pid_1() {
        // There may be nobody.
        let _ = raw::kill(-1, Signal::SIGKILL as i32);
    }
}

fn namespace_path(pid: i32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/ns/user"))
}
