//! The acts of a termination, as pure decisions: (wait,) ask, insist, kill, and what follows where not even that helps.

use std::time::{Duration, Instant};

/// Why the job has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// SIGTERM reached us.
    Asked,
    /// The job's own maximum is over.
    Deadline,
    /// No job came in the time that the runner had for it.
    Idle,
}

impl Cause {
    /// For the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Asked => "SIGTERM",
            Self::Deadline => "deadline",
            Self::Idle => "idle",
        }
    }
}

/// What is done to the runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Nothing: its job goes on.
    Wait,
    /// The flavor's graceful signal.
    Ask,
    /// SIGTERM to the group.
    Insist,
    /// SIGKILL to the group.
    Kill,
    /// SIGKILL to everybody: a process that traces the runner gets its end in our place.
    KillAll,
    /// The runner is waited for no longer: it is in uninterruptible sleep.
    Abandon,
}

/// Times of a termination, counted from its beginning.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// Until the act after the first.
    pub grace: Duration,
    /// Until SIGKILL: the pod's grace period less what wipe and report need.
    pub kill_after: Duration,
}

/// How a termination begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// With the graceful signal.
    Ask,
    /// With a moment's look at a runner that has no job: it may be taking one.
    Look,
    /// With silence while a job is under way.
    Drain,
}

/// What a job that was found under way changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Known,
    /// It gets the time of one.
    Late,
    /// Everything: only its absence was the cause.
    Wanted,
}

/// How long [`Opening::Look`] looks: a runner that has just taken a job shows it by then, and an idle one is told at once.
const LOOK: Duration = Duration::from_millis(300);

/// A termination under way.
#[derive(Debug, Clone, Copy)]
pub struct Termination {
    /// Why.
    pub cause: Cause,
    /// The last act that was done.
    pub done: Act,
    opening: Opening,
    began: Instant,
    times: Times,
    /// When the last act was done.
    acted: Instant,
    /// Somebody asked again since.
    hurried: bool,
    /// When the end was asked for last.
    asked: Instant,
    /// This burst of requests has brought an act forward.
    counted: bool,
}

/// The least that an act has to work, however often the end is asked for. Requests that come closer to each other are a
/// burst, and all of it counts once.
const SETTLE: Duration = Duration::from_secs(1);

impl Termination {
    /// Begins; where the first act is [`Act::Ask`], it is the caller's to carry out now.
    #[must_use]
    pub fn begin(cause: Cause, times: Times, now: Instant, opening: Opening) -> Self {
        Self {
            cause,
            done: match opening {
                Opening::Ask => Act::Ask,
                Opening::Look | Opening::Drain => Act::Wait,
            },
            opening,
            began: now,
            times,
            acted: now,
            hurried: false,
            asked: now,
            counted: false,
        }
    }

    /// When the next act is due, if there is one.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let Times { grace, kill_after } = self.times;
        let after = match (self.done, self.opening) {
            (Act::Wait, Opening::Look) => LOOK.min(grace),
            (Act::Wait, _) | (Act::Ask, Opening::Ask | Opening::Look) => grace,
            // A job that is being cancelled gets half of what is left.
            (Act::Ask, Opening::Drain) => grace + kill_after.saturating_sub(grace) / 2,
            (Act::Insist, _) => kill_after,
            (Act::Kill | Act::KillAll, _) => return Some(self.acted + SETTLE),
            (Act::Abandon, _) => return None,
        };
        let planned = self.began + after;
        let hurried = self.hurried.then(|| self.acted + SETTLE);
        Some(hurried.map_or(planned, |hurried| hurried.min(planned)))
    }

    /// A job was found under way.
    pub fn found_busy(&mut self) -> Found {
        match (self.opening, self.done, self.cause) {
            (Opening::Look, Act::Wait, Cause::Idle) => Found::Wanted,
            (Opening::Look, Act::Wait | Act::Ask, _) => {
                self.opening = Opening::Drain;
                Found::Late
            }
            _ => Found::Known,
        }
    }

    /// Somebody asked again: the next act comes sooner. False where that was known.
    pub fn hurry(&mut self, now: Instant) -> bool {
        let burst = now.saturating_duration_since(self.asked) < SETTLE;
        self.asked = now;
        if std::mem::replace(&mut self.counted, true) && burst {
            return false;
        }
        !std::mem::replace(&mut self.hurried, true)
    }

    /// Goes on to the next act, because it is due.
    pub fn advance(&mut self, now: Instant) -> Option<Act> {
        let next = match self.done {
            Act::Wait => Act::Ask,
            Act::Ask => Act::Insist,
            Act::Insist => Act::Kill,
            Act::Kill => Act::KillAll,
            Act::KillAll => Act::Abandon,
            Act::Abandon => return None,
        };
        self.done = next;
        self.acted = now;
        self.hurried = false;
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: Times = Times {
        grace: Duration::from_secs(10),
        kill_after: Duration::from_secs(20),
    };

    #[test]
    fn the_acts_follow_each_other_in_time() {
        let now = Instant::now();
        let mut termination = Termination::begin(Cause::Asked, TIMES, now, Opening::Ask);
        assert_eq!(termination.due(), Some(now + TIMES.grace));
        assert_eq!(termination.advance(now), Some(Act::Insist));
        assert_eq!(termination.due(), Some(now + TIMES.kill_after));
        assert_eq!(termination.advance(now), Some(Act::Kill));
        assert_eq!(termination.due(), Some(now + SETTLE));
        assert_eq!(termination.advance(now), Some(Act::KillAll));
        assert_eq!(termination.due(), Some(now + SETTLE));
        assert_eq!(termination.advance(now), Some(Act::Abandon));
        assert_eq!(termination.due(), None);
        assert_eq!(termination.advance(now), None);
    }

    #[test]
    fn asking_again_brings_the_next_act_forward_but_a_burst_is_one_request() {
        let now = Instant::now();
        let mut termination = Termination::begin(Cause::Asked, TIMES, now, Opening::Ask);
        assert!(termination.hurry(now));
        assert!(!termination.hurry(now));
        assert_eq!(termination.due(), Some(now + SETTLE));
        let later = now + SETTLE;
        assert!(!termination.hurry(later - SETTLE / 2));
        assert_eq!(termination.advance(later), Some(Act::Insist));
        assert!(!termination.hurry(later + SETTLE / 4));
        assert_eq!(termination.due(), Some(now + TIMES.kill_after));
        let much_later = later + 2 * SETTLE;
        assert!(termination.hurry(much_later));
        assert_eq!(termination.due(), Some(later + SETTLE));
    }

    #[test]
    fn a_job_under_way_is_left_alone_until_its_grace_is_used_up() {
        let now = Instant::now();
        let mut termination = Termination::begin(Cause::Asked, TIMES, now, Opening::Drain);
        assert_eq!(termination.done, Act::Wait);
        assert_eq!(termination.due(), Some(now + TIMES.grace));
        assert_eq!(termination.advance(now), Some(Act::Ask));
        let half = TIMES.grace + Duration::from_secs(5);
        assert_eq!(termination.due(), Some(now + half));
        assert_eq!(termination.advance(now), Some(Act::Insist));
        assert_eq!(termination.due(), Some(now + TIMES.kill_after));
    }

    #[test]
    fn an_idle_runner_is_told_at_once_unless_it_is_found_taking_a_job() {
        let now = Instant::now();
        let mut idle = Termination::begin(Cause::Asked, TIMES, now, Opening::Look);
        let mut taking = idle;
        assert_eq!(idle.due(), Some(now + LOOK));
        assert_eq!(idle.advance(now), Some(Act::Ask));
        assert_eq!(idle.due(), Some(now + TIMES.grace));

        assert_eq!(taking.found_busy(), Found::Late);
        assert_eq!(taking.due(), Some(now + TIMES.grace));
        assert_eq!(taking.found_busy(), Found::Known);

        // It took one although it had been told.
        assert_eq!(idle.found_busy(), Found::Late);
        assert_eq!(idle.due(), Some(now + Duration::from_secs(15)));
    }

    #[test]
    fn a_job_that_comes_at_the_end_of_the_wait_for_one_is_no_reason_to_end() {
        let now = Instant::now();
        let mut idle = Termination::begin(Cause::Idle, TIMES, now, Opening::Look);
        assert_eq!(idle.found_busy(), Found::Wanted);
        // Once it was told it cancels the job itself, and has the time of one for that.
        assert_eq!(idle.advance(now), Some(Act::Ask));
        assert_eq!(idle.found_busy(), Found::Late);
    }
}
