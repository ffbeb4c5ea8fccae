//! What to do about a container that is nearly out of memory: a pure function of time.

use std::time::{Duration, Instant};

/// After so many kills within [`WINDOW`], single processes are not the problem.
const MOST: usize = 3;
/// The time in which these kills count.
const WINDOW: Duration = Duration::from_secs(1);
/// How long a killed process may take to give its memory back, before the next is killed.
const PATIENCE: Duration = Duration::from_secs(2);
/// The same, if the next is so small that its death gives nothing, and the head room shrinks.
const SMALL_PATIENCE: Duration = Duration::from_millis(500);
/// Even if the head room still shrinks, the next kill comes no sooner.
const PAUSE: Duration = Duration::from_millis(10);

/// What the guard does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// There is room, or a killed process is about to give some back.
    Wait,
    /// Kill the largest process.
    KillLargest,
    /// Kill the whole step or build.
    KillAll,
}

/// What the guard sees now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    /// Bytes that are left.
    pub(crate) room: u64,
    /// Bytes that should be left.
    pub(crate) headroom: u64,
    /// Whether the process that was killed last still has its memory.
    pub(crate) is_dying: bool,
}

/// The kills of the last second.
#[derive(Debug, Default)]
pub(crate) struct Decision {
    kills: [Option<Instant>; MOST],
    last: Option<Instant>,
}

impl Decision {
    /// Decides, and changes nothing.
    pub(crate) fn decide(&self, view: View, now: Instant) -> Action {
        if view.room >= view.headroom {
            return Action::Wait;
        }
        let since = self.last.map(|last| now.saturating_duration_since(last));
        let waits = since.is_some_and(|since| {
            // Others may fill what is left while one process ends.
            let shrinks = view.room < view.headroom / 2;
            view.is_dying && since < if shrinks { PAUSE } else { PATIENCE }
        });
        let recent = |kill: &&Option<Instant>| {
            kill.is_some_and(|kill| now.saturating_duration_since(kill) < WINDOW)
        };
        if waits {
            Action::Wait
        } else if self.kills.iter().filter(recent).count() == MOST {
            Action::KillAll
        } else {
            Action::KillLargest
        }
    }

    /// Whether the last kill is so recent that the death of a small process would add nothing.
    pub(crate) fn is_patient(&self, now: Instant) -> bool {
        let since = self.last.map(|last| now.saturating_duration_since(last));
        since.is_some_and(|since| since < SMALL_PATIENCE)
    }

    /// Whether the last kill is so recent that the killed process may still hold memory.
    pub(crate) fn has_just_killed(&self, now: Instant) -> bool {
        let since = self.last.map(|last| now.saturating_duration_since(last));
        since.is_some_and(|since| since < PATIENCE)
    }

    /// Records a kill.
    pub(crate) fn killed(&mut self, now: Instant) {
        self.kills.rotate_left(1);
        self.kills[MOST - 1] = Some(now);
        self.last = Some(now);
    }

    /// Records that the whole step was killed. What starts after it is judged anew.
    pub(crate) fn killed_all(&mut self, now: Instant) {
        self.kills = [None; MOST];
        self.last = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: View = View {
        room: 20,
        headroom: 32,
        is_dying: false,
    };

    fn after(start: Instant, milliseconds: u64) -> Instant {
        start + Duration::from_millis(milliseconds)
    }

    #[test]
    fn nothing_is_killed_while_there_is_room() {
        let view = View { room: 32, ..FULL };
        assert_eq!(
            Decision::default().decide(view, Instant::now()),
            Action::Wait
        );
    }

    #[test]
    fn a_dying_process_has_time_to_give_memory_back() {
        let start = Instant::now();
        let mut decision = Decision::default();
        assert_eq!(decision.decide(FULL, start), Action::KillLargest);
        assert!(!decision.has_just_killed(start));
        decision.killed(start);
        assert!(decision.has_just_killed(after(start, 1999)));
        assert!(!decision.has_just_killed(after(start, 2000)));
        let dying = View {
            is_dying: true,
            ..FULL
        };
        assert_eq!(decision.decide(dying, after(start, 1999)), Action::Wait);
        assert_eq!(
            decision.decide(dying, after(start, 2000)),
            Action::KillLargest
        );
        assert_eq!(decision.decide(FULL, after(start, 1)), Action::KillLargest);
    }

    #[test]
    fn the_next_dies_sooner_if_the_room_shrinks() {
        let start = Instant::now();
        let mut decision = Decision::default();
        decision.killed(start);
        let shrinks = View {
            room: 15,
            headroom: 32,
            is_dying: true,
        };
        assert_eq!(decision.decide(shrinks, after(start, 9)), Action::Wait);
        assert_eq!(
            decision.decide(shrinks, after(start, 10)),
            Action::KillLargest
        );
    }

    #[test]
    fn after_three_kills_in_a_second_the_step_dies() {
        let start = Instant::now();
        let mut decision = Decision::default();
        for milliseconds in [0, 400, 800] {
            let now = after(start, milliseconds);
            assert_eq!(decision.decide(FULL, now), Action::KillLargest);
            decision.killed(now);
        }
        assert_eq!(decision.decide(FULL, after(start, 999)), Action::KillAll);
        assert_eq!(
            decision.decide(FULL, after(start, 1000)),
            Action::KillLargest
        );
        decision.killed_all(after(start, 999));
        assert_eq!(
            decision.decide(FULL, after(start, 1200)),
            Action::KillLargest
        );
    }
}
