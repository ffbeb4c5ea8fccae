//! The watch over the runner: one loop that waits for signals and for the clock, and for nothing else.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, raise};
use nix::unistd::{Pid, getpgid};
use tracing::{debug, info, warn};

use super::guide::Guide;
use super::is_pid_1;
use super::reap::{self, Ended};
use super::signals::{Meaning, Number, Received, Signals};
use super::spawn::{Manner, Receiver};
use super::survivors;
use super::terminal::Terminal;
use super::terminate::{Act, Cause, Found, Opening, Termination, Times};
use linux::libc_ext;
use linux::poll::{self, Interest};

/// The runner, and the rules for its end.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    /// Its pid and process group.
    pub runner: Pid,
    /// How it is asked to end.
    pub manner: Manner,
    /// Times of a termination.
    pub times: Times,
    /// The job's own maximum.
    pub deadline: Option<Duration>,
    /// How long it waits for a job.
    pub idle_timeout: Option<Duration>,
}

/// How the watch ended.
#[derive(Debug, Clone, Copy)]
pub struct Watched {
    /// How the runner ended.
    pub ended: Ended,
    /// Why it had to, if it had to.
    pub cause: Option<Cause>,
    /// The last act of a termination.
    pub act: Option<Act>,
    /// When the end was asked for.
    pub asked_at: Option<Instant>,
    /// Orphans reaped meanwhile.
    pub orphans: u64,
}

/// A job may send signals, or end processes, as fast as we take note of them: after so many the clock has its turn.
const BATCH: usize = 64;

struct Loop<'a, G: Guide + ?Sized> {
    watch: Watch,
    signals: &'a Signals,
    guide: &'a mut G,
    terminal: Option<&'a Terminal>,
    started: Instant,
    termination: Option<Termination>,
    asked_at: Option<Instant>,
    ended: Option<Ended>,
    orphans: u64,
    /// Children are left to reap, and no further SIGCHLD may come for them.
    unreaped: bool,
}

impl Watch {
    /// Watches until the runner has ended. `terminal` is what was lent to it.
    ///
    /// # Errors
    /// As poll(2) and read(2).
    pub fn until_end<G: Guide + ?Sized>(
        self,
        signals: &Signals,
        guide: &mut G,
        terminal: Option<&Terminal>,
    ) -> Result<Watched, Errno> {
        let watching = Loop {
            watch: self,
            signals,
            guide,
            terminal,
            started: Instant::now(),
            termination: None,
            asked_at: None,
            ended: None,
            orphans: 0,
            unreaped: false,
        };
        watching.run()
    }
}

impl<G: Guide + ?Sized> Loop<'_, G> {
    fn run(mut self) -> Result<Watched, Errno> {
        loop {
            // The runner may have ended before anyone looked.
            self.drain()?;
            if let Some(ended) = self.ended {
                // What it said last counts too.
                self.guide.look();
                return Ok(Watched {
                    ended,
                    cause: self.termination.map(|termination| termination.cause),
                    act: self.termination.map(|termination| termination.done),
                    asked_at: self.asked_at,
                    orphans: self.orphans,
                });
            }
            self.wait()?;
        }
    }

    /// Sleeps until a signal waits, or the guide has seen something, or the next act is due and is done.
    fn wait(&mut self) -> Result<(), Errno> {
        let due = self.due();
        let mut fds = vec![self.signals.as_fd()];
        fds.extend(self.guide.events());
        let end = if self.unreaped {
            Some(Instant::now())
        } else {
            due
        };
        let ready = poll::wait_any(&fds, Interest::Read, end)?;
        drop(fds);
        if ready.iter().skip(1).any(|seen| *seen) {
            self.guide.look();
        }
        if due.is_some_and(|due| Instant::now() >= due) {
            self.clock();
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<(), Errno> {
        for _ in 0..BATCH {
            let Some(received) = self.signals.next()? else {
                break;
            };
            match received.meaning() {
                Meaning::Child | Meaning::Ignore => {}
                Meaning::Terminate => self.terminate(received),
                Meaning::Suspend => self.suspend(received),
                Meaning::Resume => self.resume(received),
                // Who is told to end alone is told everything else alone too.
                Meaning::Forward => self.forward(received, self.watch.manner.graceful_to),
            }
        }
        self.reap();
        self.stop_with_runner();
        Ok(())
    }

    fn reap(&mut self) {
        let round = reap::all(Some(self.watch.runner));
        self.orphans += round.orphans;
        self.unreaped = round.unfinished;
        self.ended = self.ended.or(round.runner);
    }

    fn forward(&self, received: Received, to: Receiver) {
        debug!(
            signal = received.number.name(),
            sender = received.sender,
            "forwarded"
        );
        self.send_to(to, received.number);
    }

    /// As a shell expects of a job: the runner is stopped, then we are, until SIGCONT.
    fn suspend(&self, received: Received) {
        self.forward(received, Receiver::Group);
        if !is_pid_1() {
            stop();
        }
    }

    /// A runner that its terminal stopped (Ctrl-Z) is a stopped job of the shell that started us: the shell waits for us, and
    /// needs the terminal.
    fn stop_with_runner(&self) {
        let Some(terminal) = self.terminal else {
            return;
        };
        if !is_pid_1() && self.ended.is_none() && libc_ext::is_stopped(self.watch.runner.as_raw()) {
            terminal.take_back();
            stop();
        }
    }

    /// The shell's `fg` gives the terminal to our group, which passes it on first; its `bg` keeps it.
    fn resume(&self, received: Received) {
        if let Some(terminal) = self.terminal {
            terminal.lend(self.watch.runner);
        }
        self.forward(received, self.watch.manner.graceful_to);
    }

    fn terminate(&mut self, received: Received) {
        let now = Instant::now();
        self.asked_at.get_or_insert(now);
        if let Some(termination) = &mut self.termination {
            if termination.hurry(now) {
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
        self.begin(Cause::Asked);
    }

    fn begin(&mut self, cause: Cause) {
        let now = Instant::now();
        let opening = self.opening(cause);
        let grace = self.watch.times.grace;
        let termination = Termination::begin(cause, self.watch.times, now, opening);
        self.termination = Some(termination);
        match opening {
            Opening::Ask => self.ask(cause),
            Opening::Look => {}
            Opening::Drain => {
                info!(
                    ?grace,
                    why = cause.name(),
                    "act 1: a job is under way; it goes on"
                );
            }
        }
    }

    fn opening(&mut self, cause: Cause) -> Opening {
        // The job's own maximum is no reason to let it go on.
        if cause == Cause::Deadline || !self.guide.drains() {
            Opening::Ask
        } else if self.guide.busy() {
            Opening::Drain
        } else {
            Opening::Look
        }
    }

    fn ask(&self, cause: Cause) {
        let Manner {
            graceful,
            graceful_to,
            ..
        } = self.watch.manner;
        let grace = self.watch.times.grace;
        let why = cause.name();
        info!(
            ?grace,
            why,
            "act 1: {graceful} to the {}",
            graceful_to.name()
        );
        self.send_to(graceful_to, Number(graceful as i32));
        // A stopped process acts on a signal only once it runs again; one that runs is not to see a SIGCONT.
        if libc_ext::is_stopped(self.watch.runner.as_raw()) {
            self.send(Number(Signal::SIGCONT as i32));
        }
    }

    fn advance(&mut self) {
        let Some(termination) = &mut self.termination else {
            return;
        };
        let cause = termination.cause;
        let Some(act) = termination.advance(Instant::now()) else {
            return;
        };
        let why = cause.name();
        let manner = self.watch.manner;
        let (signal, to, number) = match act {
            Act::Wait | Act::Ask => return self.ask(cause),
            Act::Insist => (manner.insisting, manner.insisting_to, 2),
            Act::Kill => (Signal::SIGKILL, Receiver::Group, 3),
            Act::KillAll => {
                warn!(why, "the runner is still there, SIGKILL to everybody");
                return survivors::kill_all();
            }
            Act::Abandon => {
                warn!(why, "the runner is still there, waited for no longer");
                self.ended = Some(Ended::Signaled(Signal::SIGKILL as i32));
                return;
            }
        };
        warn!(
            why,
            "act {number}: the runner is still there, {signal} to the {}",
            to.name()
        );
        self.send_to(to, Number(signal as i32));
        // Others of its group may be stopped while it runs.
        self.send(Number(Signal::SIGCONT as i32));
    }

    fn clock(&mut self) {
        if let Some(termination) = &mut self.termination {
            let busy = self.guide.drains() && self.guide.busy();
            let found = if busy {
                termination.found_busy()
            } else {
                Found::Known
            };
            let grace = self.watch.times.grace;
            match found {
                Found::Known => self.advance(),
                Found::Late => info!(
                    ?grace,
                    "the runner has just taken a job: it has the time of one"
                ),
                Found::Wanted => {
                    info!("the runner has just taken a job: it does it");
                    self.termination = None;
                }
            }
        } else if self.idle_due().is_some_and(|due| Instant::now() >= due) {
            self.idle();
        } else {
            warn!(deadline = ?self.watch.deadline, "the job's deadline is over");
            self.begin(Cause::Deadline);
        }
    }

    fn idle(&mut self) {
        let timeout = self.watch.idle_timeout.take();
        if !self.guide.busy() {
            warn!(?timeout, "no job came");
            self.begin(Cause::Idle);
        }
    }

    fn due(&self) -> Option<Instant> {
        if let Some(termination) = &self.termination {
            return termination.due();
        }
        // A deadline beyond the clock's end is none.
        let deadline =
            (self.watch.deadline).and_then(|deadline| self.started.checked_add(deadline));
        [deadline, self.idle_due()].into_iter().flatten().min()
    }

    fn idle_due(&self) -> Option<Instant> {
        self.watch
            .idle_timeout
            .and_then(|timeout| self.started.checked_add(timeout))
    }

    fn send(&self, number: Number) {
        self.send_to(Receiver::Group, number);
    }

    fn send_to(&self, to: Receiver, number: Number) {
        let target = match to {
            Receiver::Group => -self.watch.runner.as_raw(),
            Receiver::Runner => self.watch.runner.as_raw(),
        };
        let runner = self.watch.runner;
        // A group's leader may move to another group of its session: then it gets its own.
        if to == Receiver::Group && getpgid(Some(runner)) != Ok(runner) {
            let _ = libc_ext::kill(runner.as_raw(), number.0);
        }
        match libc_ext::kill(target, number.0) {
            // It ended a moment ago, and SIGCHLD is on its way.
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(errno) => warn!(%errno, "{} did not reach the {}", number.name(), to.name()),
        }
    }
}

/// Stops this process until SIGCONT.
fn stop() {
    // SIGSTOP cannot fail for ourselves.
    let _ = raise(Signal::SIGSTOP);
}
