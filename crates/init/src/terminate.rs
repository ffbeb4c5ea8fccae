//! How a run is ended: tables of phases with their times, and pure decisions over them.
//!
//! A runner without a job, and one whose job ends as it does itself:
//!
//! | phase | when | what is done |
//! |---|---|---|
//! | [`Phase::Graceful`] | at once | the flavor's graceful signal |
//! | [`Phase::Term`] | after `grace` | SIGTERM |
//! | [`Phase::Kill`] | `wipe.reserve` before the end | SIGKILL to the group |
//!
//! A runner with a job under way that has a [worker](super::runner_state::Worker) for it:
//!
//! | phase | when | what is done |
//! |---|---|---|
//! | [`Phase::Wait`] | at once | nothing: the job goes on |
//! | [`Phase::EndSteps`] | after `grace`; at once for a deadline | SIGTERM to the steps that run, never to the runner or its worker; later steps are left alone |
//! | [`Phase::KillSteps`] | `step_grace` later | SIGKILL to those of them that are left |
//! | [`Phase::Interrupt`] | [`LAST_WORDS`] before SIGKILL | the graceful signal to the runner |
//! | [`Phase::KillJob`] | `KNOWN` later, and again and again | SIGKILL to all that is the job's: the worker has no step to wait for, and says how the job ended |
//! | [`Phase::KillWorker`] | instead of these two, if less than `LEAST` is left | SIGKILL to the worker alone: the runner says how the job ended |
//! | [`Phase::Kill`] | `wipe.reserve` before the end | SIGKILL to the group |
//!
//! A runner that was sent its graceful signal ends in silence when its worker is killed, and so it does at SIGTERM: neither
//! follows [`Phase::Interrupt`], or an [`Phase::Graceful`] that met a job.

use std::time::{Duration, Instant};

/// Why the job has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// SIGTERM reached us.
    Requested,
    /// The job's own maximum is over.
    Deadline,
    /// No job came in the time that the runner had for it.
    Idle,
    /// The runner did not end although its job was over.
    Lingering,
    /// The runner has ended, and its job has not.
    Alone,
    /// The runner did not reach its CI service for as long as it had for that.
    Unreachable,
}

impl Cause {
    /// For the log.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Requested => "SIGTERM",
            Self::Deadline => "deadline",
            Self::Idle => "idle",
            Self::Lingering => "the job is over",
            Self::Alone => "the runner has ended",
            Self::Unreachable => "unreachable",
        }
    }
}

/// What is done to the runner and its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nothing: its job goes on.
    Wait,
    /// The flavor's graceful signal.
    Graceful,
    /// SIGTERM to the group.
    Term,
    /// SIGTERM to the steps that run.
    EndSteps,
    /// SIGKILL to those of them that are left.
    KillSteps,
    /// The graceful signal, with a job under way.
    Interrupt,
    /// SIGKILL to all that is the job's, as often as it comes.
    KillJob,
    /// SIGKILL to the worker.
    KillWorker,
    /// SIGKILL to the group.
    Kill,
    /// SIGKILL to everybody: a process that traces the runner gets its end in our place.
    KillAll,
    /// The runner is waited for no longer: it is in uninterruptible sleep.
    Abandon,
}

/// When a phase begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// With the termination, or as soon as the phase before it is done.
    AtOnce,
    /// [`LOOK`] after the beginning.
    Looked,
    /// [`Times::grace`] after the beginning.
    Grace,
    /// [`Times::step_grace`] after the phase before it.
    StepGrace,
    /// [`LAST_WORDS`] before [`When::End`].
    LastWords,
    /// `KNOWN` after the phase before it.
    Known,
    /// [`Times::kill_after`] after the beginning.
    End,
    /// [`SETTLE`] after the phase before it.
    Settled,
}

/// Which table applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// A runner without a job, or whose job ends as it does itself.
    Idle,
    /// The same, but it may be taking a job.
    LookedAt,
    /// A job is under way.
    Busy,
    /// It took a job although it had been asked to end: it cancels that job itself.
    AskedAndBusy,
    /// A job is under way, and there is no time for anything else.
    LastResort,
}

impl Order {
    fn rows(self) -> &'static [(Phase, When)] {
        match self {
            Self::Idle => &[
                (Phase::Graceful, When::AtOnce),
                (Phase::Term, When::Grace),
                (Phase::Kill, When::End),
                (Phase::KillAll, When::Settled),
                (Phase::Abandon, When::Settled),
            ],
            Self::LookedAt => &[
                (Phase::Wait, When::AtOnce),
                (Phase::Graceful, When::Looked),
                (Phase::Term, When::Grace),
                (Phase::Kill, When::End),
                (Phase::KillAll, When::Settled),
                (Phase::Abandon, When::Settled),
            ],
            Self::Busy => &[
                (Phase::Wait, When::AtOnce),
                (Phase::EndSteps, When::Grace),
                (Phase::KillSteps, When::StepGrace),
                (Phase::Interrupt, When::LastWords),
                (Phase::KillJob, When::Known),
                (Phase::Kill, When::End),
                (Phase::KillAll, When::Settled),
                (Phase::Abandon, When::Settled),
            ],
            Self::AskedAndBusy => &[
                (Phase::Graceful, When::AtOnce),
                (Phase::KillJob, When::LastWords),
                (Phase::Kill, When::End),
                (Phase::KillAll, When::Settled),
                (Phase::Abandon, When::Settled),
            ],
            Self::LastResort => &[
                (Phase::KillWorker, When::AtOnce),
                (Phase::Kill, When::End),
                (Phase::KillAll, When::Settled),
                (Phase::Abandon, When::Settled),
            ],
        }
    }
}

/// Times of a termination.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// From the beginning to the phase after the first.
    pub grace: Duration,
    /// From SIGTERM to SIGKILL for a step.
    pub step_grace: Duration,
    /// From the beginning to SIGKILL: the pod's grace period less what wipe and report need.
    pub kill_after: Duration,
}

/// How a termination begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FirstPhase {
    /// With the graceful signal.
    Graceful,
    /// With a moment's look at a runner that has no job: it may be taking one.
    Look,
    /// With silence while a job is under way.
    Drain,
    /// With the end of the job's steps.
    EndSteps,
}

/// What a job that was found under way changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JobArrival {
    /// Nothing.
    Known,
    /// It gets the time of one.
    Late,
    /// Everything: only its absence was the cause.
    Wanted,
}

/// How long [`FirstPhase::Look`] waits for signs of a job. A runner that has just taken a job shows it by then.
const LOOK: Duration = Duration::from_millis(300);
/// What a runner needs from its graceful signal to the word that its job failed, with [`Phase::KillJob`]: 0.6 s were
/// measured, and up to 1.4 s for the upload of a log.
pub const LAST_WORDS: Duration = Duration::from_secs(3);
/// With less than this, [`Phase::KillWorker`] is the surer way: 0.1 s were measured.
const LEAST: Duration = Duration::from_secs(2);
/// What a worker needs to learn that the runner was interrupted. A step that ends before counts as one that failed, and
/// those that run after a failure begin.
const KNOWN: Duration = Duration::from_millis(300);
/// How often [`Phase::KillJob`] comes.
const AGAIN: Duration = Duration::from_millis(100);

/// A termination under way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Termination {
    /// Why.
    pub(crate) cause: Cause,
    order: Order,
    /// The row that was done last.
    row: usize,
    began: Instant,
    times: Times,
    /// When that row was done.
    acted: Instant,
    /// A further request to end has arrived.
    hurried: bool,
    /// When the end was asked for last.
    asked: Instant,
    /// This burst of requests has brought a phase forward.
    counted: bool,
}

/// The least that a phase has to work, however often the end is asked for. Requests that come closer to each other are a
/// burst, and all of it counts once.
const SETTLE: Duration = Duration::from_secs(1);

impl Termination {
    /// Begins; [`Termination::done`] is the caller's to carry out now.
    #[must_use]
    pub(crate) fn begin(cause: Cause, times: Times, now: Instant, first_phase: FirstPhase) -> Self {
        let (order, row) = match first_phase {
            FirstPhase::Graceful => (Order::Idle, 0),
            FirstPhase::Look => (Order::LookedAt, 0),
            FirstPhase::Drain => (Order::Busy, 0),
            FirstPhase::EndSteps => (Order::Busy, 1),
        };
        Self {
            cause,
            order,
            row,
            began: now,
            times,
            acted: now,
            hurried: false,
            asked: now,
            counted: false,
        }
    }

    /// When its cause came.
    #[must_use]
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// The phase that was begun last.
    #[must_use]
    pub(crate) fn done(&self) -> Phase {
        // The row is one of the table's.
        let row = self.order.rows().get(self.row);
        row.map_or(Phase::Abandon, |row| row.0)
    }

    /// The phase's number in its table, for the log.
    #[must_use]
    pub(crate) fn number(&self) -> u8 {
        let stepwise = !matches!(self.order, Order::Idle | Order::LookedAt);
        match self.done() {
            Phase::Wait | Phase::Graceful => 1,
            Phase::Term | Phase::EndSteps => 2,
            Phase::KillSteps => 3,
            Phase::Interrupt | Phase::KillJob | Phase::KillWorker => 4,
            Phase::Kill | Phase::KillAll | Phase::Abandon if stepwise => 5,
            Phase::Kill | Phase::KillAll | Phase::Abandon => 3,
        }
    }

    /// When there is something to do, if anything is left.
    #[must_use]
    pub(crate) fn due(&self) -> Option<Instant> {
        let next = self.next_due()?;
        let again = (self.done() == Phase::KillJob).then(|| self.acted + AGAIN);
        Some(again.map_or(next, |again| again.min(next)))
    }

    /// When SIGKILL goes to the group; nothing before it may take longer.
    #[must_use]
    pub(crate) fn end(&self) -> Instant {
        after(self.began, self.times.kill_after)
    }

    /// Skips the phases for which no time is left: each of them looks at all processes of the job.
    fn skip_to_kill(&mut self, now: Instant) {
        let rows = self.order.rows();
        let kill = rows.iter().position(|(phase, _)| *phase == Phase::Kill);
        if now >= self.end() {
            self.row = self.row.max(kill.unwrap_or(0));
        }
    }

    /// When the next phase begins.
    fn next_due(&self) -> Option<Instant> {
        let (phase, when) = *self.order.rows().get(self.row + 1)?;
        let Times {
            grace,
            step_grace,
            kill_after,
        } = self.times;
        let last_words = after(self.began, kill_after.saturating_sub(LAST_WORDS));
        let planned = match when {
            When::AtOnce => self.acted,
            When::Looked => self.began + LOOK.min(grace),
            When::Grace => after(self.began, grace),
            When::StepGrace => after(self.acted, step_grace),
            When::LastWords => last_words,
            When::Known => self.acted + KNOWN,
            When::End => self.end(),
            When::Settled => self.acted + SETTLE,
        };
        let planned = match phase {
            // Whatever the times are, the last words come after them.
            Phase::EndSteps | Phase::KillSteps => planned.min(last_words),
            _ => planned,
        };
        // They have their time, however often the end is asked for.
        let may_hurry = !matches!(
            self.done(),
            Phase::Interrupt | Phase::KillJob | Phase::KillWorker
        );
        let hurried = (self.hurried && may_hurry).then(|| self.acted + SETTLE);
        Some(hurried.map_or(planned, |hurried| hurried.min(planned)))
    }

    /// A job was found under way.
    pub(crate) fn found_busy(&mut self) -> JobArrival {
        let late = match (self.order, self.done()) {
            (Order::LookedAt, Phase::Wait) if self.cause == Cause::Idle => {
                return JobArrival::Wanted;
            }
            (Order::LookedAt, Phase::Wait) => Order::Busy,
            (Order::LookedAt | Order::Idle, Phase::Graceful) => Order::AskedAndBusy,
            _ => return JobArrival::Known,
        };
        (self.order, self.row) = (late, 0);
        JobArrival::Late
    }

    /// Brings the next phase forward after a further request to end. Returns false if that was done already.
    pub(crate) fn bring_forward(&mut self, now: Instant) -> bool {
        let burst = now.saturating_duration_since(self.asked) < SETTLE;
        self.asked = now;
        if std::mem::replace(&mut self.counted, true) && burst {
            return false;
        }
        !std::mem::replace(&mut self.hurried, true)
    }

    /// Goes on to what is due: the next phase, or [`Phase::KillJob`] once more.
    pub(crate) fn advance(&mut self, now: Instant) -> Option<Phase> {
        let next = self.next_due()?;
        let end = self.end();
        if self.done() != Phase::KillJob || now >= next {
            self.row += 1;
            self.hurried = false;
        }
        self.skip_to_kill(now);
        if self.done() == Phase::Interrupt && end.saturating_duration_since(now) < LEAST {
            (self.order, self.row) = (Order::LastResort, 0);
        }
        self.acted = now;
        Some(self.done())
    }
}

/// A time beyond the range of the clock is ten years ahead: settings may name any duration.
fn after(time: Instant, duration: Duration) -> Instant {
    const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
    time + duration.min(TEN_YEARS)
}

#[cfg(test)]
mod tests;
