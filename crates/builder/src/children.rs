//! Children of PID 1 that have a waiting caller. All others are orphans, which are only reaped.
//!
//! One thread reaps all of them, because waitpid(-1) in PID 1 would also reap the children of other threads.

use std::collections::HashMap;
use std::io::{Error, ErrorKind, Result};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};

use init::reap::Ended;
use linux::libc_ext;

/// All children that have a waiting caller.
#[derive(Debug, Default)]
pub(crate) struct Children {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiters: HashMap<i32, Sender<Ended>>,
    closed: bool,
}

/// A started child, and the channel that receives how it ended.
#[derive(Debug)]
pub(crate) struct Started {
    /// The child, for its pipes. The caller must not wait(2) for it.
    pub child: Child,
    /// Its pid.
    pub pid: i32,
    /// Receives once how it ended.
    pub end: Receiver<Ended>,
}

/// A process that becomes a child of PID 1 when its parent ends.
#[derive(Debug)]
pub(crate) struct FutureOrphan {
    /// Its pid.
    pub pid: i32,
    /// Receives once how it ended.
    pub end: Receiver<Ended>,
}

impl Children {
    /// Starts a child. No child is reaped meanwhile, so its end cannot be missed.
    ///
    /// # Errors
    /// As fork(2) and execve(2); `Interrupted` after [`Children::close`].
    pub(crate) fn start(&self, command: &mut Command) -> Result<Started> {
        let mut state = self.lock();
        if state.closed {
            return Err(Error::new(ErrorKind::Interrupted, "the builder is ending"));
        }
        let child = command.spawn()?;
        let pid = i32::try_from(child.id()).unwrap_or(i32::MAX);
        let (waiter, end) = channel();
        state.waiters.insert(pid, waiter);
        Ok(Started { child, pid, end })
    }

    /// Registers a waiter for an orphan. Its parent must still run.
    pub(crate) fn await_orphan(&self, pid: i32) -> FutureOrphan {
        let (waiter, end) = channel();
        self.lock().waiters.insert(pid, waiter);
        FutureOrphan { pid, end }
    }

    /// Runs a helper to its end. The result has its stderr, and no stdout.
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

    /// Makes every later [`Children::start`] fail.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
    }

    /// Reaps all children that have ended, and notifies the waiting callers.
    pub(crate) fn reap(&self) {
        let mut state = self.lock();
        while let Ok(Some(child)) = libc_ext::reap_one() {
            let ended = child.exit_code().map(Ended::Exited);
            let ended = ended.unwrap_or_else(|| Ended::Signaled(child.signal()));
            if let Some(waiter) = state.waiters.remove(&child.pid) {
                // The caller may have ended.
                let _ = waiter.send(ended);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
