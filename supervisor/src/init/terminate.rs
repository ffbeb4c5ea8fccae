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
}

impl Termination {
    /// Begins; the first act, [`Act::Ask`], is the caller's to carry out now.
    #[must_use]
    pub fn begin(cause: Cause, times: Times, now: Instant) -> Self {
        Self {
            cause,
            began: now,
            times,
            done: Act::Ask,
        }
    }

    /// When the next act is due, if there is one.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        match self.done {
            Act::Ask => Some(self.began + self.times.grace),
            Act::Insist => Some(self.began + self.times.kill_after),
            Act::Kill => None,
        }
    }

    /// Goes on to the next act, because it is due or because someone asked again.
    pub fn advance(&mut self) -> Option<Act> {
        let next = match self.done {
            Act::Ask => Act::Insist,
            Act::Insist => Act::Kill,
            Act::Kill => return None,
        };
        self.done = next;
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
        assert_eq!(termination.advance(), Some(Act::Insist));
        assert_eq!(termination.due(), Some(now + TIMES.kill_after));
        assert_eq!(termination.advance(), Some(Act::Kill));
        assert_eq!(termination.due(), None);
        assert_eq!(termination.advance(), None);
    }

    #[test]
    fn asking_again_brings_the_next_act_forward() {
        let mut termination = Termination::begin(Cause::Asked, TIMES, Instant::now());
        assert_eq!(termination.advance(), Some(Act::Insist));
        assert_eq!(termination.advance(), Some(Act::Kill));
    }
}
