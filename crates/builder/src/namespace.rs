//! Finds and kills all processes of one build by their user namespace. A process cannot leave it.
//!
//! A process in it can only create namespaces within it. Those are found by their parents. Source: user_namespaces(7).

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tracing::warn;

use super::children::FutureOrphan;
use init::is_pid_1;
use init::reap::Ended;
use linux::{libc_ext, procfs};

/// The longest that a process may take to end after SIGKILL. Only an uninterruptible sleep takes longer.
const DEATH: Duration = Duration::from_secs(10);

/// A user namespace. An open descriptor keeps the kernel from reusing its inode number.
#[derive(Debug)]
pub(crate) struct Namespace {
    inode: u64,
    _file: File,
    /// Present if code of the job runs in the namespace and may resist its end.
    killer: Mutex<Option<FutureOrphan>>,
}

impl Namespace {
    /// Opens the user namespace of process `pid`.
    ///
    /// # Errors
    /// As open(2) on `/proc/PID/ns/user`.
    pub(crate) fn of(pid: i32, killer: Option<FutureOrphan>) -> std::io::Result<Self> {
        let file = File::open(namespace_path(pid))?;
        let inode = file.metadata()?.ino();
        Ok(Self {
            inode,
            _file: file,
            killer: Mutex::new(killer),
        })
    }

    /// Returns the inode that identifies it.
    pub(crate) fn inode(&self) -> u64 {
        self.inode
    }

    /// Returns the pid of the killer, if there is one.
    pub(crate) fn killer(&self) -> Option<i32> {
        let killer = self.killer.lock();
        let killer = killer.unwrap_or_else(PoisonError::into_inner);
        killer.as_ref().map(|killer| killer.pid)
    }

    /// Kills every process in it, and waits until all have ended.
    ///
    /// # Errors
    /// The pids that have not ended after 10 seconds.
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

    /// Kills Buildah among others. When Buildah has ended, the killer kills what this scan missed.
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
        // Most processes are in PID 1's own namespace, which is never within a build's.
        let own = std::fs::metadata("/proc/self/ns/user").map_or(0, |found| found.ino());
        let pids = procfs::pids().into_iter().flatten();
        // A zombie is in no namespace.
        pids.filter(|pid| {
            let inode = std::fs::metadata(namespace_path(*pid)).map_or(0, |found| found.ino());
            inode == self.inode || (inode != 0 && inode != own && self.encloses(*pid))
        })
        .collect()
    }

    /// Whether the process is in a namespace within this one, at any depth.
    fn encloses(&self, pid: i32) -> bool {
        let Ok(mut inner) = File::open(namespace_path(pid)) else {
            return false;
        };
        while let Ok(outer) = libc_ext::parent_namespace(&inner) {
            inner = outer.into();
            if inner
                .metadata()
                .is_ok_and(|found| found.ino() == self.inode)
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

/// Kills every process in the container, other builds included: that is safer than leaving one build's. It happens only if a
/// build killed its own killer.
fn kill_every_build() {
    warn!(
        "a build killed its build killer: kill all builds, because their processes cannot be distinguished"
    );
    if is_pid_1() {
        // There may be no process.
        let _ = libc_ext::kill(-1, Signal::SIGKILL as i32);
    }
}

fn namespace_path(pid: i32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/ns/user"))
}
