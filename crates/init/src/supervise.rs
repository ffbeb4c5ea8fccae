//! The watch over the runner: one loop that waits for signals and for the clock, and for nothing else.

mod ending;
mod worker;

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, raise};
use nix::unistd::{Pid, getpgid};
use tracing::{debug, warn};

use super::is_pid_1;
use super::reap::{self, Ended};
use super::runner_state::RunnerState;
use super::signals::{Number, Received, SignalAction, Signals};
use super::spawn::{Escalation, Receiver};
use super::steps::Steps;
use super::terminal::Terminal;
use super::terminate::{Cause, Phase, Termination, Times};
use super::worker::Worker;
use linux::libc_ext;
use linux::poll::{self, Interest};

/// The runner, and the rules for its end.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    /// Its pid and process group.
    pub runner: Pid,
    /// How it is asked to end.
    pub escalation: Escalation,
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
    /// The last phase of a termination.
    pub phase: Option<Phase>,
    /// The graceful signal met a job that was under way.
    pub interrupted: bool,
    /// How the runner's worker ended, if the runner did not wait for it.
    pub worker: Option<Ended>,
    /// When the request to end arrived.
    pub requested_at: Option<Instant>,
    /// Orphans reaped meanwhile.
    pub orphans: u64,
}

/// A job may send signals, or end processes, as fast as we take note of them: after so many the clock has its turn.
const BATCH: usize = 64;

struct Loop<'a, G: RunnerState + ?Sized> {
    watch: Watch,
    signals: &'a Signals,
    runner_state: &'a mut G,
    terminal: Option<&'a Terminal>,
    started: Instant,
    termination: Option<Termination>,
    steps: Option<Steps>,
    /// The runner was sent its graceful signal, by us or by others.
    asked: bool,
    /// It had no job then.
    asked_idle: bool,
    interrupted: bool,
    worker: Option<Worker>,
    /// The runner has ended, and its worker has not.
    alone: bool,
    /// We were asked to stop the runner.
    suspended: bool,
    /// It was continued before.
    continued: bool,
    requested_at: Option<Instant>,
    ended: Option<Ended>,
    orphans: u64,
    /// Ended children still have to be reaped, perhaps without a further SIGCHLD.
    unreaped: bool,
}

impl Watch {
    /// Watches until the runner has ended. `terminal` is what was lent to it.
    ///
    /// # Errors
    /// As poll(2) and read(2).
    pub fn until_end<G: RunnerState + ?Sized>(
        self,
        signals: &Signals,
        runner_state: &mut G,
        terminal: Option<&Terminal>,
    ) -> Result<Watched, Errno> {
        let watching = Loop {
            watch: self,
            signals,
            steps: (runner_state.worker()).map(|worker| Steps::new(self.runner, worker.name)),
            runner_state,
            terminal,
            started: Instant::now(),
            termination: None,
            asked: false,
            asked_idle: false,
            interrupted: false,
            worker: None,
            alone: false,
            suspended: false,
            continued: false,
            requested_at: None,
            ended: None,
            orphans: 0,
            unreaped: false,
        };
        watching.run()
    }
}

impl<G: RunnerState + ?Sized> Loop<'_, G> {
    fn run(mut self) -> Result<Watched, Errno> {
        loop {
            // The runner may have ended before anyone looked.
            self.drain()?;
            if let Some(ended) = self.ended.filter(|_| !self.goes_on_alone()) {
                // What it said last counts too.
                self.runner_state.look();
                return Ok(Watched {
                    ended,
                    cause: self.termination.map(|termination| termination.cause),
                    phase: self.termination.map(|termination| termination.done()),
                    interrupted: self.has_interrupted(),
                    worker: self.worker.and_then(|worker| worker.ended),
                    requested_at: self.requested_at,
                    orphans: self.orphans,
                });
            }
            self.wait()?;
        }
    }

    /// Sleeps until a signal waits, or the runner's state has an event, or the next phase is due and is done.
    fn wait(&mut self) -> Result<(), Errno> {
        let due = self.due();
        let mut fds = vec![self.signals.as_fd()];
        let worker = self.worker_end();
        fds.extend(worker);
        let own = fds.len();
        fds.extend(self.runner_state.events());
        let end = if self.unreaped {
            Some(Instant::now())
        } else {
            due
        };
        let ready = poll::wait_any(&fds, Interest::Read, end)?;
        let over = worker.is_some() && ready.get(1) == Some(&true);
        drop(fds);
        if over {
            self.note_worker_end(None);
        }
        if ready.iter().skip(own).any(|seen| *seen) {
            self.runner_state.look();
            self.find_worker();
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
            match received.action() {
                SignalAction::Child | SignalAction::Ignore => {}
                SignalAction::Terminate => self.terminate(received),
                SignalAction::Suspend => self.suspend(received),
                SignalAction::Resume => self.resume(received),
                // If the graceful signal goes to the runner only, all other signals go to the runner only.
                SignalAction::Forward => self.forward(received, self.watch.escalation.graceful_to),
            }
        }
        self.reap();
        self.stop_with_runner();
        self.continue_runner();
        Ok(())
    }

    fn reap(&mut self) {
        let round = reap::all(Some(self.watch.runner), self.worker_pid());
        if round.worker.is_some() {
            self.note_worker_end(round.worker);
        }
        self.orphans += round.orphans;
        self.unreaped = round.unfinished;
        self.ended = self.ended.or(round.runner);
    }

    fn forward(&mut self, received: Received, to: Receiver) {
        if received.number.0 == self.watch.escalation.graceful as i32 {
            self.note_asked();
        }
        debug!(
            signal = received.number.name(),
            sender = received.sender,
            "forwarded"
        );
        self.send_to(to, received.number);
    }

    /// As a shell expects of a job: the runner is stopped, then we are, until SIGCONT.
    ///
    /// A job must not stop its own runner by way of PID 1: it would stay for ever.
    fn suspend(&mut self, received: Received) {
        if is_pid_1() && !received.is_from_outside() {
            return;
        }
        self.suspended = true;
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
    fn resume(&mut self, received: Received) {
        self.suspended = false;
        if let Some(terminal) = self.terminal {
            terminal.lend(self.watch.runner);
        }
        self.forward(received, self.watch.escalation.graceful_to);
    }

    /// Whether the job has the time of its own, asked to end or not.
    fn drains(&self) -> bool {
        self.termination
            .is_none_or(|termination| termination.done() == Phase::Wait)
    }

    fn clock(&mut self) {
        let lingers = self.linger_due().is_some_and(|due| Instant::now() >= due);
        if lingers && self.drains() {
            self.end_lingering();
        } else if self.termination.is_some() {
            self.go_on();
        } else if self
            .runner_state
            .unreachable_at()
            .is_some_and(|due| Instant::now() >= due)
        {
            self.end_unreachable();
        } else if self.idle_due().is_some_and(|due| Instant::now() >= due) {
            self.idle();
        } else {
            let deadline = self.watch.deadline.map(humantime::format_duration);
            let deadline = deadline.map(|deadline| deadline.to_string());
            warn!(deadline, "the job's deadline is over");
            self.begin(Cause::Deadline);
        }
    }

    fn idle(&mut self) {
        let timeout = self.watch.idle_timeout.take();
        if !self.runner_state.busy() {
            let timeout = timeout.map(|timeout| humantime::format_duration(timeout).to_string());
            warn!(timeout, "no job came");
            self.begin(Cause::Idle);
        }
    }

    fn due(&self) -> Option<Instant> {
        if let Some(termination) = &self.termination {
            let linger = self.linger_due().filter(|_| self.drains());
            return [termination.due(), linger].into_iter().flatten().min();
        }
        // A deadline beyond the range of the clock never comes.
        let deadline = self
            .watch
            .deadline
            .and_then(|deadline| self.started.checked_add(deadline));
        let (linger, unreachable) = (self.linger_due(), self.runner_state.unreachable_at());
        let due = [deadline, self.idle_due(), linger, unreachable];
        due.into_iter().flatten().min()
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
