//! The three acts of a termination, as pure decisions: ask, insist, kill.

use std::time::{Duration, Instant};

/// Why the job has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// SIGTERM reached us.
    Asked,
    /// The job's own maximum is over.
    Deadline,
}

/// What is done to the runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// The flavor's graceful signal.
    Ask,
    /// SIGTERM to the group.
    Insist,
    /// SIGKILL to the group.
    Kill,
}

/// Times of a termination, counted from its beginning.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// Until SIGTERM.
    pub grace: Duration,
    /// Until SIGKILL: the pod's grace period less what wipe and report need.
    pub kill_after: Duration,
}

/// A termination under way.
#[derive(Debug, Clone, Copy)]
pub struct Termination {
    /// Why.
    pub cause: Cause,
    began: Instant,
    times: Times,
    done: Act,
    /// When the last act was done.
    acted: Instant,
    /// Somebody asked again since.
    hurried: bool,
}

/// The least that an act has to work, however often the end is asked for: a burst is one request.
const SETTLE: Duration = Duration::from_secs(1);

impl Termination {
    /// Begins; the first act, [`Act::Ask`], is the caller's to carry out now.
    #[must_use]
    pub fn begin(cause: Cause, times: Times, now: Instant) -> Self {
        Self {
            cause,
            began: now,
            times,
            done: Act::Ask,
            acted: now,
            hurried: false,
        }
    }

    /// When the next act is due, if there is one.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let planned = match self.done {
            Act::Ask => self.began + self.times.grace,
            Act::Insist => self.began + self.times.kill_after,
            Act::Kill => return None,
        };
        let hurried = self.hurried.then(|| self.acted + SETTLE);
        Some(hurried.map_or(planned, |hurried| hurried.min(planned)))
    }

    /// Somebody asked again: the next act comes sooner. False where that was known.
    pub fn hurry(&mut self) -> bool {
        !std::mem::replace(&mut self.hurried, true)
    }

    /// Goes on to the next act, because it is due.
    pub fn advance(&mut self, now: Instant) -> Option<Act> {
        let next = match self.done {
            Act::Ask => Act::Insist,
            Act::Insist => Act::Kill,
            Act::Kill => return None,
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
        let mut termination = Termination::begin(Cause::Asked, TIMES, now);
        assert_eq!(termination.due(), Some(now + TIMES.grace));
        assert_eq!(termination.advance(now), Some(Act::Insist));
        assert_eq!(termination.due(), Some(now + TIMES.kill_after));
        assert_eq!(termination.advance(now), Some(Act::Kill));
        assert_eq!(termination.due(), None);
        assert_eq!(termination.advance(now), None);
    }

    #[test]
    fn asking_again_brings_the_next_act_forward_but_a_burst_is_one_request() {
        let now = Instant::now();
        let mut termination = Termination::begin(Cause::Asked, TIMES, now);
        assert!(termination.hurry());
        assert!(!termination.hurry());
        assert_eq!(termination.due(), Some(now + SETTLE));
        let later = now + SETTLE;
        assert_eq!(termination.advance(later), Some(Act::Insist));
        assert_eq!(termination.due(), Some(now + TIMES.kill_after));
        assert!(termination.hurry());
        assert_eq!(termination.due(), Some(later + SETTLE));
    }
}
