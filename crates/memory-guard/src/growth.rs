//! How much memory is taken while and since the guard has read the processes: with many of them on busy processors a scan takes
//! longer than the head room lasts.

use std::time::{Duration, Instant};

/// Growth is measured over at least this time.
const SPAN: Duration = Duration::from_millis(1);
/// After this time a measurement has half its weight.
const HALF: Duration = Duration::from_millis(500);

/// A scan is out of date after this time.
const FRESH: Duration = Duration::from_secs(1);

/// Memory that grows by fewer bytes a second grows slowly.
const SLOW: u64 = 32 << 20;

/// So many processes are many.
const MANY: usize = 32;

/// The growth of the memory, and the time that a scan takes.
#[derive(Debug, Default)]
pub(crate) struct Growth {
    last: Option<(Instant, u64)>,
    /// Bytes a second.
    rate: u64,
    scan: Duration,
    processes: usize,
    scanned: Option<Instant>,
    /// Bytes in use now, and the least since the last scan.
    used: u64,
    least: u64,
}

impl Growth {
    /// Notes how much memory is in use.
    pub(crate) fn note(&mut self, used: u64, now: Instant) {
        self.used = used;
        self.least = self.least.min(used);
        let Some((at, before)) = self.last else {
            self.last = Some((now, used));
            return;
        };
        let elapsed = now.saturating_duration_since(at);
        if elapsed < SPAN {
            return;
        }
        self.last = Some((now, used));
        let nanoseconds = elapsed.as_nanos().max(1);
        let rate = u128::from(used.saturating_sub(before)) * 1_000_000_000 / nanoseconds;
        let weight = u128::from(self.rate) * HALF.as_nanos() / (HALF.as_nanos() + nanoseconds);
        self.rate = u64::try_from(rate.max(weight)).unwrap_or(u64::MAX);
    }

    /// Whether memory has not grown, or slowly, in the last second or two.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.rate < SLOW
    }

    /// Notes how long a scan of so many processes took, until now.
    pub(crate) fn scanned(&mut self, processes: usize, time: Duration, now: Instant) {
        self.processes = processes;
        self.scan = time;
        self.scanned = Some(now);
        self.least = self.used;
    }

    /// The bytes that were taken since the last scan.
    pub(crate) fn since_scan(&self) -> u64 {
        self.used - self.least
    }

    /// Whether the last scan found many processes, and so little has changed since that they are still those that count.
    pub(crate) fn is_known_crowd(&self, headroom: u64, now: Instant) -> bool {
        let is_recent = |scanned| now.saturating_duration_since(scanned) < FRESH;
        self.processes >= MANY
            && self.since_scan() < headroom
            && self.scanned.is_some_and(is_recent)
    }

    /// The bytes that are taken during a scan, at most `most`. Few processes are read at once, so there is no margin for them:
    /// a job that stays below the head room must not be killed.
    pub(crate) fn margin(&self, most: u64) -> u64 {
        if self.processes < MANY {
            return 0;
        }
        let taken = u128::from(self.rate) * self.scan.as_nanos() / 1_000_000_000;
        u64::try_from(taken).unwrap_or(u64::MAX).min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn growing(mib_in_10_ms: u64, scan: Duration) -> (Growth, Instant) {
        let start = Instant::now();
        let mut growth = Growth::default();
        growth.scanned(MANY, scan, start);
        growth.note(0, start);
        let now = start + Duration::from_millis(10);
        growth.note(mib_in_10_ms * MIB, now);
        (growth, now)
    }

    #[test]
    fn margin_is_what_a_scan_costs_and_bounded() {
        let (growth, _) = growing(10, Duration::from_millis(5));
        assert_eq!(growth.margin(4096 * MIB), 5 * MIB);
        assert_eq!(growth.margin(2 * MIB), 2 * MIB);
        let (mut growth, _) = growing(10, Duration::from_millis(5));
        growth.scanned(MANY - 1, Duration::from_millis(5), Instant::now());
        assert_eq!(growth.margin(4096 * MIB), 0);
    }

    #[test]
    fn margin_fades_when_the_memory_grows_no_more() {
        let (mut growth, now) = growing(10, Duration::from_millis(8));
        assert_eq!(growth.margin(4096 * MIB), 8 * MIB);
        growth.note(10 * MIB, now + HALF);
        assert_eq!(growth.margin(4096 * MIB), 4 * MIB);
        growth.note(10 * MIB, now + HALF + Duration::from_micros(10));
        assert_eq!(growth.margin(4096 * MIB), 4 * MIB, "too short to measure");
        assert!(!growth.is_at_rest());
        growth.note(10 * MIB, now + 50 * HALF);
        assert!(growth.is_at_rest());
    }

    #[test]
    fn crowd_is_known_until_memory_or_time_has_passed() {
        let start = Instant::now();
        let mut growth = Growth::default();
        assert!(!growth.is_known_crowd(32 * MIB, start));
        growth.note(100 * MIB, start);
        growth.scanned(MANY, SPAN, start);
        growth.note(131 * MIB, start);
        assert!(growth.is_known_crowd(32 * MIB, start));
        assert!(!growth.is_known_crowd(32 * MIB, start + FRESH));
        growth.note(132 * MIB, start);
        assert!(!growth.is_known_crowd(32 * MIB, start));
        growth.scanned(MANY - 1, SPAN, start);
        assert!(!growth.is_known_crowd(32 * MIB, start), "a few");
    }

    #[test]
    fn what_was_given_back_and_taken_anew_counts() {
        let start = Instant::now();
        let mut growth = Growth::default();
        growth.note(100 * MIB, start);
        growth.scanned(MANY, SPAN, start);
        growth.note(60 * MIB, start);
        growth.note(95 * MIB, start);
        assert_eq!(growth.since_scan(), 35 * MIB);
    }
}
