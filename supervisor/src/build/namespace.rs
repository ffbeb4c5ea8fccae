//! All processes of one build, known by their user namespace: none can leave it, however it hides.
//!
//! Source: user_namespaces(7). Another one can only be made within it, and is found by those around it.

use std::fs::{File, read_dir};
use std::io::stdin;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::Signal;
use tracing::warn;

use super::children::Children;
use crate::init::is_pid_1;
use crate::sys::process::Identity;
use crate::sys::{idmap, process, raw, trial};

/// The name of the child that ends all of them, on our hidden command line.
pub const SWEEP: &str = "sweep";

/// How long the kernel may take to carry out SIGKILL; longer only in uninterruptible sleep.
const DEATH: Duration = Duration::from_secs(10);

/// A user namespace. It is held open, so that its number is not given to another one.
#[derive(Debug)]
pub struct Namespace {
    number: u64,
    held: File,
    /// Whether code of the job runs in it, which may do all that it can to stay.
    hostile: bool,
    children: Arc<Children>,
}

impl Namespace {
    /// The namespace of process `pid`.
    ///
    /// # Errors
    /// As open(2) on `/proc/PID/ns/user`.
    pub fn of(pid: i32, hostile: bool, children: &Arc<Children>) -> std::io::Result<Self> {
        let held = File::open(link(pid))?;
        let number = held.metadata()?.ino();
        let children = Arc::clone(children);
        Ok(Self {
            number,
            held,
            hostile,
            children,
        })
    }

    /// Kills every process in it, and waits until none is left.
    ///
    /// Looking through /proc takes a while, in which who forks and ends is never where one looks: the killing itself is one
    /// system call, during which nobody forks.
    ///
    /// # Errors
    /// The pids that are still there.
    pub fn end(&self) -> Result<(), Vec<i32>> {
        if self.hostile {
            self.sweep_or_all();
        }
        self.wait()
    }

    fn sweep_or_all(&self) {
        let Err(error) = self.sweep() else { return };
        warn!(error, "what a build left cannot be ended alone: all builds are");
        if is_pid_1() {
            // There may be nobody.
            let _ = raw::kill(-1, Signal::SIGKILL as i32);
        }
    }

    fn sweep(&self) -> Result<(), String> {
        let held = self.held.try_clone().map_err(|error| error.to_string())?;
        let mut command: Command = trial::again(SWEEP);
        command.env_clear().stdin(Stdio::from(held));
        let swept = self.children.run_with_input(&mut command);
        let swept = swept.map_err(|error| error.to_string())?;
        match swept.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&swept.stderr).trim().to_owned()),
        }
    }

    fn wait(&self) -> Result<(), Vec<i32>> {
        let deadline = Instant::now() + DEATH;
        let mut pause = Duration::from_micros(200);
        loop {
            let left = self.processes();
            if left.is_empty() {
                return Ok(());
            }
            for pid in &left {
                // It may have ended meanwhile.
                let _ = raw::kill(*pid, Signal::SIGKILL as i32);
            }
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

fn link(pid: i32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/ns/user"))
}

/// The child: enters the namespace that is its standard input, and kills all that are in it.
#[must_use]
pub fn child() -> u8 {
    match kill_all() {
        Ok(()) => 0,
        Err(problem) => {
            eprintln!("{problem}");
            crate::exit::INTERNAL
        }
    }
}

fn kill_all() -> Result<(), String> {
    let failed = |what: &'static str| move |errno: Errno| format!("{what}: {errno}");
    setns(stdin(), CloneFlags::CLONE_NEWUSER).map_err(failed("setns"))?;
    // The right to kill there comes with it, here there is none; but who has our user would be killed as well.
    let last = |kind: idmap::Kind| {
        let map = std::fs::read_to_string(kind.map_file("self")).ok()?;
        let lines = idmap::parse_map(&map);
        lines.iter().map(|line| line.inside + (line.count - 1)).max()
    };
    let last = |kind| last(kind).ok_or("it has no ids");
    let somebody = Identity {
        uid: last(idmap::Kind::User)?,
        gid: last(idmap::Kind::Group)?,
    };
    process::become_killer(somebody).map_err(|error| error.to_string())?;
    match raw::kill(-1, Signal::SIGKILL as i32) {
        // There is nobody.
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(failed("kill")(errno)),
    }
}
