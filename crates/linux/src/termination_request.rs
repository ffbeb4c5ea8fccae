//! The request to end this process, and the time that it leaves.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::libc::SIGTERM;

use super::libc_ext;

/// The part of a pod's grace period that is left for the report.
pub const REPORT_TIME: Duration = Duration::from_secs(1);

/// A request to end this process, which arrives at most once. Threads may share it.
///
/// It counts SIGTERM only if that signal is blocked: then it is pending until it is read, sigpending(2).
#[derive(Debug)]
pub struct TerminationRequest {
    requested_at: OnceLock<Instant>,
    grace: Duration,
}

impl TerminationRequest {
    /// Returns a request that has not arrived yet. `grace` is the time that this process has after its arrival.
    #[must_use]
    pub fn new(grace: Duration) -> Self {
        Self {
            requested_at: OnceLock::new(),
            grace,
        }
    }

    /// Records that the request arrived at `at`. Only the first time counts.
    pub fn record(&self, at: Instant) {
        let _ = self.requested_at.set(at);
    }

    /// Records a SIGTERM that is pending, and leaves it pending. Returns whether the request has arrived.
    pub fn check(&self) -> bool {
        if self.requested_at.get().is_none() && libc_ext::is_pending(SIGTERM) {
            self.record(Instant::now());
        }
        self.requested_at.get().is_some()
    }

    /// Returns the time since the recorded arrival, and zero before it.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.requested_at
            .get()
            .map_or(Duration::ZERO, Instant::elapsed)
    }

    /// Returns the rest of the grace period; `None` if no arrival is recorded.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        let requested_at = self.requested_at.get()?;
        Some(self.grace.saturating_sub(requested_at.elapsed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::{SigSet, Signal, raise};

    const GRACE: Duration = Duration::from_secs(3600);

    #[test]
    fn only_the_first_arrival_counts() {
        let request = TerminationRequest::new(GRACE);
        assert_eq!(
            (request.remaining(), request.elapsed()),
            (None, Duration::ZERO)
        );
        request.record(Instant::now() - GRACE / 2);
        request.record(Instant::now());
        assert!(request.elapsed() >= GRACE / 2);
        assert!(request.remaining().unwrap() <= GRACE / 2);
    }

    #[test]
    fn nothing_remains_after_the_grace_period() {
        let request = TerminationRequest::new(Duration::ZERO);
        request.record(Instant::now());
        assert_eq!(request.remaining(), Some(Duration::ZERO));
    }

    #[test]
    fn check_finds_a_pending_signal_and_leaves_it_pending() {
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGTERM);
        mask.thread_block().unwrap();
        let request = TerminationRequest::new(GRACE);
        assert!(!request.check() && request.remaining().is_none());
        // raise(3) sends it to this thread only.
        raise(Signal::SIGTERM).unwrap();
        assert!(request.check() && request.remaining().is_some());
        assert!(libc_ext::is_pending(SIGTERM));
        mask.wait().unwrap();
        assert!(request.check());
    }
}
