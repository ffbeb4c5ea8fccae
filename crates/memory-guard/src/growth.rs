//! How much memory is taken while the guard looks for the process to kill: with many processes on busy processors that takes
//! longer than the head room lasts.

use std::time::{Duration, Instant};

/// Growth is measured over at least this time.
const SPAN: Duration = Duration::from_millis(1);
/// After this time a measurement has half its weight.
const HALF: Duration = Duration::from_millis(500);

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
}

impl Growth {
    /// Notes how much memory is in use.
    pub(crate) fn note(&mut self, used: u64, now: Instant) {
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

    /// Notes how long a scan of so many processes took.
    pub(crate) fn scanned(&mut self, processes: usize, time: Duration) {
        self.processes = processes;
        self.scan = time;
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
        growth.scanned(MANY, scan);
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
        growth.scanned(MANY - 1, Duration::from_millis(5));
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
    }
}
