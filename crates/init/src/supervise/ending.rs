//! The end of a runner: the phases of [`crate::terminate`], carried out.

use std::time::Instant;

use nix::sys::signal::Signal;
use tracing::{debug, info, warn};

use super::Loop;
use crate::reap::Ended;
use crate::runner_state::RunnerState;
use crate::signals::{Number, Received};
use crate::spawn::{Escalation, Receiver};
use crate::steps::Steps;
use crate::survivors;
use crate::terminate::{Cause, FirstPhase, JobArrival, Phase, Termination};
use linux::libc_ext;

/// How many names a line of the log holds.
const NAMED: usize = 20;

impl<G: RunnerState + ?Sized> Loop<'_, G> {
    pub(super) fn terminate(&mut self, received: Received) {
        let now = Instant::now();
        let first = self.requested_at.is_none();
        self.requested_at.get_or_insert(now);
        if let Some(termination) = &mut self.termination {
            // The end of a pod takes no time from a job that ends already.
            let ends = matches!(termination.cause, Cause::Deadline | Cause::Alone);
            let known = first && self.steps.is_some() && ends;
            let sender = received.sender;
            if known {
                info!(sender, "asked to end, as the job does already");
            } else if termination.bring_forward(now) {
                info!(sender, "asked again to end: the next phase comes sooner");
            }
            return;
        }
        info!(
            sender = received.sender,
            "asked to end by {}",
            received.number.name()
        );
        self.begin(Cause::Requested);
    }

    pub(super) fn begin(&mut self, cause: Cause) {
        let first_phase = self.first_phase(cause);
        let termination = Termination::begin(cause, self.watch.times, Instant::now(), first_phase);
        self.termination = Some(termination);
        match first_phase {
            FirstPhase::Graceful | FirstPhase::EndSteps => {
                self.carry_out(termination.done(), cause);
            }
            FirstPhase::Look => {}
            FirstPhase::Drain => {
                let grace = humantime::format_duration(self.watch.times.grace);
                let why = cause.name();
                info!(%grace, why, "phase 1: a job is under way; it goes on");
            }
        }
    }

    fn first_phase(&mut self, cause: Cause) -> FirstPhase {
        let busy = self.is_busy();
        match (busy, cause) {
            // The job's own maximum is no reason to let it go on.
            (true, Cause::Deadline) => FirstPhase::EndSteps,
            (true, _) => FirstPhase::Drain,
            // The runner still reports a job whose worker has ended.
            (false, Cause::Requested) if self.worker_is_over() => FirstPhase::Drain,
            (false, Cause::Deadline | Cause::Lingering | Cause::Unreachable) => {
                FirstPhase::Graceful
            }
            (false, _) if self.steps.is_some() => FirstPhase::Look,
            (false, _) => FirstPhase::Graceful,
        }
    }

    /// When a phase stops looking at processes: SIGKILL to the group is due then.
    fn until(&self) -> Instant {
        self.termination
            .map_or_else(Instant::now, |termination| termination.end())
    }

    /// Whether a job is under way that ends a step at a time.
    fn is_busy(&mut self) -> bool {
        self.steps.is_some() && !self.worker_is_over() && self.runner_state.busy()
    }

    /// Something is due of a termination.
    pub(super) fn go_on(&mut self) {
        let busy = self.is_busy();
        let Some(termination) = &mut self.termination else {
            return;
        };
        let found = if busy {
            termination.found_busy()
        } else {
            JobArrival::Known
        };
        let cause = termination.cause;
        match found {
            JobArrival::Known => {
                if let Some(phase) = termination.advance(Instant::now()) {
                    self.carry_out(phase, cause);
                }
            }
            JobArrival::Late => {
                let grace = humantime::format_duration(self.watch.times.grace);
                info!(
                    %grace,
                    "the runner has just taken a job: it has the time of one"
                );
            }
            JobArrival::Wanted => {
                info!("the runner has just taken a job: it does it");
                self.termination = None;
                // The pod's end may have been requested meanwhile.
                if self.requested_at.is_some() {
                    self.begin(Cause::Requested);
                }
            }
        }
    }

    fn carry_out(&mut self, phase: Phase, cause: Cause) {
        let why = cause.name();
        if let Some(termination) = self.termination.filter(|_| phase != Phase::Wait) {
            self.runner_state.ending(cause, termination.began());
        }
        let number = self
            .termination
            .map_or(1, |termination| termination.number());
        let Escalation { term, term_to, .. } = self.watch.escalation;
        match phase {
            Phase::Wait => {}
            Phase::Graceful => self.send_graceful(why, number),
            Phase::Term => self.escalate(why, term, term_to, number),
            Phase::EndSteps => self.end_steps(why),
            Phase::KillSteps => self.kill_steps(why),
            // It would call a job failed whose steps have all succeeded.
            Phase::Interrupt if self.runner_state.reports() => {
                info!(
                    why,
                    "phase {number}: the steps are done, and the runner reports the job"
                );
            }
            // A worker that received a signal to end before would end in silence.
            Phase::Interrupt if self.ended.is_some() && !self.died_in_silence() => {}
            Phase::Interrupt if self.ended.is_some() => {
                info!(
                    why,
                    "phase {number}: SIGTERM to the worker, which has no runner any more"
                );
                self.interrupted = true;
                self.steps.iter().for_each(Steps::terminate_worker);
            }
            // Without the processes of its step, the runner would not end in time, and would send no result.
            Phase::Interrupt if self.steps.as_ref().is_some_and(Steps::is_blind) => {
                warn!(
                    why,
                    "phase {number}: /proc cannot be read, SIGKILL to the worker alone"
                );
                self.kill_worker_by_descriptor();
            }
            Phase::Interrupt => self.send_graceful(why, number),
            Phase::KillJob => self.kill_job(why),
            // Once it was interrupted, the runner says nothing when its worker is killed.
            Phase::KillWorker if self.asked => self.kill_job(why),
            Phase::KillWorker => self.kill_worker(why),
            Phase::Kill => self.escalate(why, Signal::SIGKILL, Receiver::Group, number),
            Phase::KillAll => {
                warn!(why, "the runner is still there, SIGKILL to everybody");
                survivors::kill_all();
            }
            Phase::Abandon => {
                warn!(why, "the runner is still there, waited for no longer");
                self.ended = Some(Ended::Signaled(Signal::SIGKILL as i32));
            }
        }
    }

    /// The runner is sent its graceful signal. A job that it has is interrupted by that, and so is one that it takes
    /// nevertheless; one whose worker has ended is not.
    pub(super) fn note_asked(&mut self) {
        self.asked = true;
        self.interrupted |= self.steps.as_ref().is_some_and(Steps::has_worker);
        self.asked_idle |= !self.is_busy() && !self.worker_is_over();
    }

    /// Whether the graceful signal met a job.
    pub(super) fn has_interrupted(&mut self) -> bool {
        self.interrupted || self.asked_idle && self.steps.is_some() && self.runner_state.busy()
    }

    /// The flavor's graceful signal.
    fn send_graceful(&mut self, why: &str, number: u8) {
        self.note_asked();
        let Escalation {
            graceful,
            graceful_to,
            ..
        } = self.watch.escalation;
        let grace = humantime::format_duration(self.watch.times.grace);
        info!(
            %grace,
            why,
            "phase {number}: {graceful} to the {}",
            graceful_to.name()
        );
        self.send_to(graceful_to, Number(graceful as i32));
        // A stopped process acts on a signal only once it runs again; one that runs is not to see a SIGCONT.
        if libc_ext::is_stopped(self.watch.runner.as_raw()) {
            self.send(Number(Signal::SIGCONT as i32));
        }
    }

    fn escalate(&self, why: &str, signal: Signal, to: Receiver, number: u8) {
        warn!(
            why,
            "phase {number}: the runner is still there, {signal} to the {}",
            to.name()
        );
        self.send_to(to, Number(signal as i32));
        // Others of its group may be stopped while it runs.
        self.send(Number(Signal::SIGCONT as i32));
    }

    fn end_steps(&mut self, why: &str) {
        let until = self.until();
        let Some(steps) = &mut self.steps else { return };
        let ended = steps.end(until);
        if ended.is_empty() {
            warn!(why, "phase 2: no step of the job runs, so none is ended");
        } else {
            warn!(
                why,
                processes = named(&ended),
                "phase 2: SIGTERM to the step of the job that runs; what comes after it goes on"
            );
        }
    }

    fn kill_steps(&self, why: &str) {
        let killed = self
            .steps
            .as_ref()
            .map(|steps| steps.kill_ended(self.until()));
        match killed.unwrap_or_default() {
            killed if killed.is_empty() => debug!(why, "phase 3: the step has ended"),
            killed => warn!(
                why,
                processes = named(&killed),
                "phase 3: SIGKILL to what is left of the step"
            ),
        }
    }

    fn kill_job(&self, why: &str) {
        let killed = self
            .steps
            .as_ref()
            .map(|steps| steps.kill_all(self.until()));
        let killed = killed.unwrap_or_default();
        if !killed.is_empty() {
            warn!(
                why,
                processes = named(&killed),
                "phase 4: SIGKILL to all that is the job's, so that the runner says how it ended"
            );
        }
    }

    fn kill_worker(&self, why: &str) {
        let killed = self
            .steps
            .as_ref()
            .map(|steps| steps.kill_worker(self.until()));
        warn!(
            why,
            processes = named(&killed.unwrap_or_default()),
            "phase 4: SIGKILL to the runner's worker, so that the runner says how the job ended"
        );
    }
}

fn named(processes: &[String]) -> String {
    let more = processes.len().saturating_sub(NAMED);
    let mut text = processes[..processes.len() - more].join(", ");
    if more > 0 {
        text += &format!(" and {more} more");
    }
    text
}
