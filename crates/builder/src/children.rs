//! The children of PID 1 that somebody waits for, among the orphans that nobody does.
//!
//! One thread reaps them all, because waitpid(-1) in PID 1 would take another thread's child from it.

use std::collections::HashMap;
use std::io::{Error, ErrorKind, Result};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};

use init::reap::Ended;
use linux::libc_ext;

/// All children that somebody waits for.
#[derive(Debug, Default)]
pub(crate) struct Children {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    tellers: HashMap<i32, Sender<Ended>>,
    closed: bool,
}

/// A child that was started, and the place where its end is told.
#[derive(Debug)]
pub(crate) struct Started {
    /// The child, for its pipes. It must not be waited for.
    pub child: Child,
    /// Its pid.
    pub pid: i32,
    /// Gives its end once.
    pub end: Receiver<Ended>,
}

/// A process that becomes our child when its parent ends.
#[derive(Debug)]
pub(crate) struct Awaited {
    /// Its pid.
    pub pid: i32,
    /// Gives its end once.
    pub end: Receiver<Ended>,
}

impl Children {
    /// Starts a child. It cannot end unnoticed: nothing is reaped meanwhile.
    ///
    /// # Errors
    /// As fork(2) and execve(2); of kind `Interrupted` once there shall be none any more.
    pub(crate) fn start(&self, command: &mut Command) -> Result<Started> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(Error::new(ErrorKind::Interrupted, "the builder ends"));
        }
        let child = command.spawn()?;
        let pid = i32::try_from(child.id()).unwrap_or(i32::MAX);
        let (teller, end) = channel();
        waiting.tellers.insert(pid, teller);
        Ok(Started { child, pid, end })
    }

    /// Has the end of an orphan-to-be told, which cannot have ended yet.
    pub(crate) fn await_orphan(&self, pid: i32) -> Awaited {
        let (teller, end) = channel();
        self.lock().tellers.insert(pid, teller);
        Awaited { pid, end }
    }

    /// Runs a helper to its end, and gives what it said on stderr.
    ///
    /// # Errors
    /// As fork(2) and execve(2).
    pub(crate) fn run(&self, command: &mut Command) -> Result<Output> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut started = self.start(command)?;
        let mut stderr = Vec::new();
        if let Some(mut pipe) = started.child.stderr.take() {
            std::io::Read::read_to_end(&mut pipe, &mut stderr)?;
        }
        let ended = started.end.recv().unwrap_or(Ended::Signaled(9));
        let raw = match ended {
            Ended::Exited(code) => i32::from(code) << 8,
            Ended::Signaled(signal) => signal,
        };
        Ok(Output {
            status: std::os::unix::process::ExitStatusExt::from_raw(raw),
            stdout: Vec::new(),
            stderr,
        })
    }

    /// From now on nobody starts a child.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
    }

    /// Reaps all that have ended, and tells those who wait.
    pub(crate) fn reap(&self) {
        let mut waiting = self.lock();
        while let Ok(Some(child)) = libc_ext::reap_one() {
            let ended = child.exit_code().map(Ended::Exited);
            let ended = ended.unwrap_or_else(|| Ended::Signaled(child.signal()));
            if let Some(teller) = waiting.tellers.remove(&child.pid) {
                // Who no longer listens has gone.
                let _ = teller.send(ended);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
