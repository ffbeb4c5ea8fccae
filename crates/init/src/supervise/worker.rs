//! The runner's worker: a job is over when its worker is, not when the runner is.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tracing::{info, warn};

use super::Loop;
use crate::is_pid_1;
use crate::reap::Ended;
use crate::runner_state::RunnerState;
use crate::signals::Number;
use crate::spawn::Receiver;
use crate::steps::Steps;
use crate::terminate::{Cause, Phase, Times};
use crate::worker::Worker;
use linux::{libc_ext, procfs};

/// How long a runner has after its worker's end: it reports a worker that crashed, and deletes its session.
const LINGER: Duration = Duration::from_secs(30);
/// How long GitHub keeps a job for a runner that does not renew it.
const LOCK: Duration = Duration::from_secs(600);
/// The times of a runner without a job, if no kubelet waits for its end.
const TIMES: Times = Times {
    grace: Duration::from_secs(5),
    step_grace: Duration::ZERO,
    kill_after: Duration::from_secs(10),
};

impl<G: RunnerState + ?Sized> Loop<'_, G> {
    /// Looks for the worker of a job that is under way.
    pub(super) fn find_worker(&mut self) {
        let orphaned = self.ended.is_some();
        let Some(steps) = self.steps.as_mut().filter(|_| self.worker.is_none()) else {
            return;
        };
        self.worker = steps.find_worker(orphaned).map(|process| Worker {
            end: process.pidfd().filter(|_| process.is_running()),
            process,
            over_since: None,
            ended: None,
        });
    }

    /// Becomes readable when the worker ends.
    pub(super) fn worker_end(&self) -> Option<BorrowedFd<'_>> {
        let worker = self.worker.as_ref()?;
        let end = worker.end.as_ref().filter(|_| worker.over_since.is_none());
        end.map(AsFd::as_fd)
    }

    pub(super) fn note_worker_end(&mut self, ended: Option<Ended>) {
        if let Some(worker) = &mut self.worker {
            worker.over_since.get_or_insert_with(Instant::now);
            worker.ended = worker.ended.or(ended);
        }
    }

    pub(super) fn worker_pid(&self) -> Option<Pid> {
        self.worker
            .as_ref()
            .map(|worker| Pid::from_raw(worker.process.pid))
    }

    /// Whether there was a worker, and has ended.
    pub(super) fn worker_is_over(&self) -> bool {
        self.worker
            .as_ref()
            .is_some_and(|worker| worker.over_since.is_some())
    }

    /// Whether the job goes on although its runner has ended: the worker needs it no more, and reports the job itself.
    pub(super) fn goes_on_alone(&mut self) -> bool {
        let phase = self.termination.map(|termination| termination.done());
        if phase == Some(Phase::Abandon) {
            return false;
        }
        self.find_worker();
        let alone = self
            .worker
            .as_ref()
            .is_some_and(|worker| worker.over_since.is_none() && worker.process.now().is_some());
        if alone && !std::mem::replace(&mut self.alone, true) {
            warn!("the runner has ended, and its job goes on without it");
            self.steps.iter().for_each(Steps::resume_worker);
            self.end_alone();
        }
        if !alone && self.worker.is_some() {
            // It may have ended just now.
            self.reap();
        }
        alone
    }

    /// Whether the worker cannot know of its runner's end. If it had received a shutdown before, SIGTERM would end it in silence.
    pub(super) fn died_in_silence(&self) -> bool {
        self.ended == Some(Ended::Signaled(Signal::SIGKILL as i32)) && !self.asked
    }

    /// Ends a job that its CI service can neither cancel nor see, after the time of a job whose pod has to end.
    fn end_alone(&mut self) {
        if self.termination.is_some() {
            return;
        }
        let times = &mut self.watch.times;
        let beyond = times.grace.saturating_sub(LOCK);
        times.grace -= beyond;
        times.kill_after = times.kill_after.saturating_sub(beyond);
        self.begin(Cause::Alone);
    }

    /// When a runner whose worker has ended is waited for no longer.
    pub(super) fn linger_due(&self) -> Option<Instant> {
        Some(self.worker.as_ref()?.over_since? + LINGER)
    }

    /// SIGKILL to the worker, without a look at /proc.
    pub(super) fn kill_worker_by_descriptor(&self) {
        let worker = self.worker.as_ref();
        if let Some(end) = worker.and_then(|worker| worker.end.as_ref()) {
            // It may have ended meanwhile.
            let _ = procfs::send_by_pidfd(end, Signal::SIGKILL);
        }
    }

    pub(super) fn end_lingering(&mut self) {
        warn!("the runner has not ended, although its job is over");
        self.watch.times = TIMES;
        self.begin(Cause::Lingering);
    }

    pub(super) fn end_unreachable(&mut self) {
        warn!("the runner does not reach its CI service, see its words above");
        self.watch.times = TIMES;
        self.begin(Cause::Unreachable);
    }

    /// A job can stop its runner, which would then never end. Who stops a runner by way of us wants it to be stopped.
    pub(super) fn continue_runner(&mut self) {
        let shells_job = self.terminal.is_some() && !is_pid_1();
        if self.steps.is_none() || self.suspended || shells_job || self.ended.is_some() {
            return;
        }
        if libc_ext::is_stopped(self.watch.runner.as_raw()) {
            if !std::mem::replace(&mut self.continued, true) {
                info!("the runner was stopped by a signal that was not ours: it is continued");
            }
            self.send_to(Receiver::Runner, Number(Signal::SIGCONT as i32));
        }
    }
}
