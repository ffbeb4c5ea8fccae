//! How long the guard sleeps: as long as the head room certainly lasts.

use std::time::Duration;

/// No sleep is shorter while memory grows. At this pace a container can fill 4 MiB more.
pub(crate) const SHORTEST: Duration = Duration::from_micros(200);
/// No sleep is shorter while it does not grow. What begins to grow can fill 10 MiB, and is then watched more closely.
pub(crate) const AT_REST: Duration = Duration::from_micros(500);
/// No sleep is longer, however much room there is: a limit may be lowered in place.
const LONGEST: Duration = Duration::from_secs(1);
/// The fastest that processors together fill memory, in bytes a second.
const FASTEST: u64 = 20_000_000_000;
/// The fastest that one processor fills memory: the kernel has to clear each page first.
const OF_ONE: u64 = 5_000_000_000;

/// The bytes a second that `processors` can fill at most.
pub(crate) fn fill_rate(processors: usize) -> u64 {
    let processors = u64::try_from(processors).unwrap_or(u64::MAX);
    OF_ONE.saturating_mul(processors).clamp(OF_ONE, FASTEST)
}

/// How long to sleep if `room` bytes are left until the guard has to act, at least `shortest`.
pub(crate) fn sleep(room: u64, fill_rate: u64, shortest: Duration) -> Duration {
    let nanoseconds = u128::from(room) * 1_000_000_000 / u128::from(fill_rate.max(1));
    let nanoseconds = u64::try_from(nanoseconds).unwrap_or(u64::MAX);
    Duration::from_nanos(nanoseconds).clamp(shortest, LONGEST)
}

/// The head room at which the guard acts, if the settings name none: 32 MiB, and for limits below 256 MiB an eighth.
pub(crate) fn default_headroom(limit: u64) -> u64 {
    (limit / 8).clamp(4 << 20, 32 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn sleep_never_outlasts_the_head_room() {
        for processors in [1, 2, 64] {
            let rate = fill_rate(processors);
            for room in [8 * MIB, 100 * MIB, 4096 * MIB] {
                let filled =
                    u128::from(rate) * sleep(room, rate, SHORTEST).as_nanos() / 1_000_000_000;
                assert!(filled <= u128::from(room), "{processors}, {room}");
            }
        }
    }

    #[test]
    fn far_from_the_limit_a_second_passes_and_at_it_the_least() {
        let rate = fill_rate(64);
        assert_eq!(sleep(u64::MAX, rate, SHORTEST), LONGEST);
        assert_eq!(sleep(0, rate, SHORTEST), SHORTEST);
        assert!(sleep(2048 * MIB, rate, SHORTEST) >= Duration::from_millis(100));
    }

    #[test]
    fn few_processors_fill_more_slowly() {
        assert_eq!(fill_rate(0), OF_ONE);
        assert_eq!(fill_rate(2), 2 * OF_ONE);
        assert_eq!(fill_rate(1000), FASTEST);
    }

    #[test]
    fn small_limits_have_a_small_head_room() {
        assert_eq!(default_headroom(128 * MIB), 16 * MIB);
        assert_eq!(default_headroom(4096 * MIB), 32 * MIB);
        assert_eq!(default_headroom(MIB), 4 * MIB);
    }
}
