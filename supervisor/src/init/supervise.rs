//! The watch over the runner: one loop that waits for signals and for the clock, and for nothing else.

use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, raise};
use nix::unistd::Pid;
use tracing::{debug, info, warn};

use super::is_pid_1;
use super::reap::{self, Ended};
use super::signals::{Meaning, Number, Received, Signals};
use super::terminate::{Act, Cause, Termination, Times};
use crate::sys::raw;
use crate::sys::ready::{self, Want};

/// The runner, and the rules for its end.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    /// Its pid and process group.
    pub runner: Pid,
    /// The signal that asks it to end well.
    pub graceful: Signal,
    /// Times of a termination.
    pub times: Times,
    /// The job's own maximum.
    pub deadline: Option<Duration>,
}

/// How the watch ended.
#[derive(Debug, Clone, Copy)]
pub struct Watched {
    /// How the runner ended.
    pub ended: Ended,
    /// Why it had to, if it had to.
    pub cause: Option<Cause>,
    /// When the end was asked for.
    pub asked_at: Option<Instant>,
    /// Orphans reaped meanwhile.
    pub orphans: u64,
}

struct Loop<'a> {
    watch: Watch,
    signals: &'a Signals,
    started: Instant,
    termination: Option<Termination>,
    asked_at: Option<Instant>,
    ended: Option<Ended>,
    orphans: u64,
}

impl Watch {
    /// Watches until the runner has ended.
    ///
    /// # Errors
    /// As poll(2) and read(2).
    pub fn until_end(self, signals: &Signals) -> Result<Watched, Errno> {
        let watching = Loop {
            watch: self,
            signals,
            started: Instant::now(),
            termination: None,
            asked_at: None,
            ended: None,
            orphans: 0,
        };
        watching.run()
    }
}

impl Loop<'_> {
    fn run(mut self) -> Result<Watched, Errno> {
        loop {
            // The runner may have ended before anyone looked.
            self.drain()?;
            if let Some(ended) = self.ended {
                return Ok(Watched {
                    ended,
                    cause: self.termination.map(|termination| termination.cause),
                    asked_at: self.asked_at,
                    orphans: self.orphans,
                });
            }
            self.wait()?;
        }
    }

    /// Sleeps until a signal waits, or until the next act is due and is done.
    fn wait(&mut self) -> Result<(), Errno> {
        let due = self.due();
        ready::wait(self.signals, Want::Read, due)?;
        if due.is_some_and(|due| Instant::now() >= due) {
            self.clock();
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<(), Errno> {
        let mut child = true;
        while let Some(received) = self.signals.next()? {
            match received.meaning() {
                Meaning::Child => child = true,
                Meaning::Terminate => self.terminate(Cause::Asked, received),
                Meaning::Suspend => self.suspend(received),
                Meaning::Forward => self.forward(received),
                Meaning::Ignore => {}
            }
        }
        if child {
            self.reap();
        }
        Ok(())
    }

    fn reap(&mut self) {
        let round = reap::all(Some(self.watch.runner));
        self.orphans += round.orphans;
        self.ended = self.ended.or(round.runner);
    }

    fn forward(&self, received: Received) {
        debug!(
            signal = received.number.name(),
            sender = received.sender,
            "forwarded"
        );
        self.send(received.number);
    }

    /// As a shell expects of a job: the runner is stopped, then we are, until SIGCONT.
    fn suspend(&self, received: Received) {
        self.forward(received);
        if !is_pid_1() {
            // SIGSTOP cannot fail for ourselves.
            let _ = raise(Signal::SIGSTOP);
        }
    }

    fn terminate(&mut self, cause: Cause, received: Received) {
        if let Some(termination) = &mut self.termination {
            if termination.hurry() {
                info!(
                    sender = received.sender,
                    "asked again to end: the next act comes sooner"
                );
            }
            return;
        }
        info!(
            sender = received.sender,
            "asked to end by {}",
            received.number.name()
        );
        self.begin(cause);
    }

    fn begin(&mut self, cause: Cause) {
        let now = Instant::now();
        self.termination = Some(Termination::begin(cause, self.watch.times, now));
        self.asked_at = Some(now);
        info!(grace = ?self.watch.times.grace, "act 1: {} to the runner's group", self.watch.graceful);
        self.send(Number(self.watch.graceful as i32));
        // A stopped process acts on a signal only once it runs again; one that runs is not to see a SIGCONT.
        if raw::is_stopped(self.watch.runner.as_raw()) {
            self.send(Number(Signal::SIGCONT as i32));
        }
    }

    fn advance(&mut self) {
        let Some(act) = self
            .termination
            .as_mut()
            .and_then(|termination| termination.advance(Instant::now()))
        else {
            return;
        };
        let (signal, number) = match act {
            Act::Kill => (Signal::SIGKILL, 3),
            _ => (Signal::SIGTERM, 2),
        };
        warn!("act {number}: the runner is still there, {signal} to its group");
        self.send(Number(signal as i32));
        // Others of its group may be stopped while it runs.
        self.send(Number(Signal::SIGCONT as i32));
    }

    fn clock(&mut self) {
        if self.termination.is_some() {
            self.advance();
        } else {
            warn!(deadline = ?self.watch.deadline, "the job's deadline is over");
            self.begin(Cause::Deadline);
        }
    }

    fn due(&self) -> Option<Instant> {
        match &self.termination {
            Some(termination) => termination.due(),
            None => self.watch.deadline.map(|deadline| self.started + deadline),
        }
    }

    fn send(&self, number: Number) {
        let group = -self.watch.runner.as_raw();
        match raw::kill(group, number.0) {
            // It ended a moment ago, and SIGCHLD is on its way.
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(errno) => warn!(%errno, "{} did not reach the runner's group", number.name()),
        }
    }
}
