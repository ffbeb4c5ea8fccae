//! Waiting until a condition holds.

use std::time::{Duration, Instant};

/// Long enough for the slowest machine. It only ends a test that has failed.
const TIMEOUT: Duration = Duration::from_secs(300);
/// The first pause between two attempts. Each further pause is a quarter longer.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// The result of one attempt: `true` or `Some` ends the waiting.
pub trait Attempt {
    /// What the waiting returns.
    type Value;

    /// Returns the value if the attempt succeeded.
    fn value(self) -> Option<Self::Value>;
}

impl Attempt for bool {
    type Value = ();

    fn value(self) -> Option<()> {
        self.then_some(())
    }
}

impl<T> Attempt for Option<T> {
    type Value = T;

    fn value(self) -> Self {
        self
    }
}

/// Repeats `attempt` until it succeeds, and returns its value. The condition must remain true once it is true.
///
/// # Panics
///
/// If `attempt` has not succeeded after five minutes. The message names `what`.
pub fn eventually<A: Attempt>(what: &str, attempt: impl FnMut() -> A) -> A::Value {
    eventually_or(what, attempt, String::new)
}

/// The same as [`eventually`], with `state` in the message of the panic.
///
/// # Panics
///
/// If `attempt` has not succeeded after five minutes.
pub fn eventually_or<A: Attempt>(
    what: &str,
    mut attempt: impl FnMut() -> A,
    state: impl Fn() -> String,
) -> A::Value {
    let mut patience = Patience::default();
    loop {
        if let Some(value) = attempt().value() {
            return value;
        }
        let Some(pause) = patience.pause() else {
            panic!("waited in vain for {what}: {}", state());
        };
        std::thread::sleep(pause);
    }
}

/// The pauses between attempts, for callers that sleep by other means than their thread.
pub struct Patience {
    began: Instant,
    pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            pause: SHORTEST_PAUSE,
        }
    }
}

impl Patience {
    /// Returns how long to sleep before the next attempt, or `None` once five minutes are over.
    pub fn pause(&mut self) -> Option<Duration> {
        self.pause_after(self.began.elapsed())
    }

    fn pause_after(&mut self, elapsed: Duration) -> Option<Duration> {
        let pause = self.pause;
        self.pause = (pause * 5 / 4).min(LONGEST_PAUSE);
        (elapsed < TIMEOUT).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eventually_returns_the_value_of_the_first_success() {
        let mut attempts = 0;
        let value = eventually("the third attempt", || {
            attempts += 1;
            (attempts == 3).then_some(attempts)
        });
        assert_eq!((value, attempts), (3, 3));
    }

    #[test]
    fn pauses_grow_to_a_limit_and_end_with_the_timeout() {
        let mut patience = Patience::default();
        let mut next = || patience.pause_after(Duration::ZERO).unwrap();
        let first = next();
        let later: Vec<_> = (0..50).map(|_| next()).collect();
        assert!(first < later[0] && later.is_sorted());
        assert_eq!(later.last(), Some(&LONGEST_PAUSE));
        assert_eq!(patience.pause_after(TIMEOUT), None);
    }
}
