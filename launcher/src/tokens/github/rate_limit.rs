//! Decides when to repeat a failed request: GitHub's two rate limits, and transient failures.
//!
//! Source: <https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api>. A crate for back-off (`backon`) would
//! cover only the transient failures: `Retry-After`, `x-ratelimit-reset` and secondary limits are GitHub's own.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::fmt::rfc2822;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// The first pause after a secondary limit without `Retry-After`. Each further pause is twice as long.
const SECONDARY_LIMIT_PAUSE: Duration = Duration::from_secs(60);
/// The number of attempts if the failures are transient.
const MAX_ATTEMPTS: u32 = 4;
/// The pause after the first transient failure. Each further pause is twice as long.
const INITIAL_BACKOFF: Duration = Duration::from_millis(500);

/// A failed attempt.
#[derive(Debug, Default)]
pub(super) struct Attempt {
    /// The HTTP status. `None` if there was no response.
    pub(super) status: Option<u16>,
    /// From the header `Retry-After`, which has seconds or a date.
    pub(super) retry_after: Option<Duration>,
    /// The number of requests that the primary limit still allows.
    pub(super) remaining: Option<u64>,
    /// The time on GitHub's clock at which the primary limit is reset.
    pub(super) reset: Option<SystemTime>,
    /// The time on GitHub's clock, from the header `Date`.
    pub(super) date: Option<SystemTime>,
    /// GitHub's message.
    pub(super) message: String,
}

/// The decision after a failed attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Return the error: another attempt would fail too.
    Fail,
    /// Repeat the request after this pause.
    Retry(Duration),
    /// A rate limit: repeat the request after this pause.
    Limited(Duration),
}

impl Attempt {
    /// Reads the headers of a response.
    pub(super) fn read(status: u16, headers: &HeaderMap, message: String, now: SystemTime) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let date = text("date").and_then(http_date);
        let after = headers
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok());
        Self {
            status: Some(status),
            retry_after: after.and_then(|after| parse_retry_after(after, date.unwrap_or(now))),
            remaining: text("x-ratelimit-remaining").and_then(|text| text.parse().ok()),
            reset: text("x-ratelimit-reset")
                .and_then(|text| text.parse().ok())
                .and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds))),
            date,
            message,
        }
    }

    /// Returns how far GitHub's clock is ahead of this machine's, in seconds.
    pub(super) fn skew(&self, now: SystemTime) -> Option<i64> {
        let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).ok().map(|d| d.as_secs());
        let (theirs, ours) = (seconds(self.date?)?, seconds(now)?);
        Some(i64::try_from(theirs).ok()? - i64::try_from(ours).ok()?)
    }

    /// Decides what to do after attempt `number`. The first attempt is 0.
    pub(super) fn next(&self, number: u32, now: SystemTime) -> Next {
        let doubled = |first: Duration| first.saturating_mul(1 << number.min(16));
        match self.status {
            Some(403 | 429) => match self.rate_limit(now) {
                Some(pause) => {
                    Next::Limited(pause.unwrap_or_else(|| doubled(SECONDARY_LIMIT_PAUSE)))
                }
                None => Next::Fail,
            },
            None | Some(500..) if number + 1 < MAX_ATTEMPTS => {
                Next::Retry(self.retry_after.unwrap_or_else(|| doubled(INITIAL_BACKOFF)))
            }
            _ => Next::Fail,
        }
    }

    /// Returns `Some` if the response reports a rate limit, with the pause if it states one.
    fn rate_limit(&self, now: SystemTime) -> Option<Option<Duration>> {
        if let Some(after) = self.retry_after {
            return Some(Some(after));
        }
        if let (Some(0), Some(reset)) = (self.remaining, self.reset) {
            // Compare the reset time with GitHub's own clock, because both are GitHub's.
            let left = reset
                .duration_since(self.date.unwrap_or(now))
                .unwrap_or_default();
            return Some(Some(left + Duration::from_secs(1)));
        }
        let lower = self.message.to_ascii_lowercase();
        let limited = lower.contains("rate limit") || lower.contains("abuse detection");
        (limited || self.status == Some(429)).then_some(None)
    }
}

/// Parses `Retry-After`: seconds, or a date.
fn parse_retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    match text.trim().parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Some(http_date(text)?.duration_since(now).unwrap_or_default()),
    }
}

fn http_date(text: &str) -> Option<SystemTime> {
    let time = rfc2822::parse(text).ok()?;
    Some(SystemTime::from(time.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(NOW)
    }

    fn attempt(status: u16, headers: &[(&'static str, &str)], message: &str) -> Attempt {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        Attempt::read(status, &headers.collect(), message.to_owned(), now())
    }

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn rate_limits_state_the_pause() {
        let reset = (NOW + 600).to_string();
        for (status, headers, message, next) in [
            (
                429,
                vec![("retry-after", "7")],
                "",
                Next::Limited(seconds(7)),
            ),
            (
                403,
                vec![("retry-after", "7")],
                "secondary rate limit",
                Next::Limited(seconds(7)),
            ),
            (
                403,
                vec![
                    ("x-ratelimit-remaining", "0"),
                    ("x-ratelimit-reset", &reset),
                ],
                "API rate limit exceeded",
                Next::Limited(seconds(601)),
            ),
            (
                403,
                vec![
                    ("x-ratelimit-remaining", "17"),
                    ("x-ratelimit-reset", &reset),
                ],
                "no right",
                Next::Fail,
            ),
            (
                403,
                vec![],
                "You have exceeded a secondary rate limit",
                Next::Limited(seconds(60)),
            ),
            (429, vec![], "", Next::Limited(seconds(60))),
            (
                403,
                vec![],
                "Resource not accessible by integration",
                Next::Fail,
            ),
            (
                429,
                vec![("retry-after", "Fri, 15 Jan 2027 08:00:09 GMT")],
                "",
                Next::Limited(seconds(9)),
            ),
        ] {
            let attempt = attempt(status, &headers, message);
            assert_eq!(attempt.next(0, now()), next, "{attempt:?}");
        }
    }

    #[test]
    fn reset_is_compared_with_githubs_clock() {
        let reset = (NOW + 600).to_string();
        let headers = [
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", reset.as_str()),
            ("date", "Fri, 15 Jan 2027 08:05:00 GMT"),
        ];
        let attempt = attempt(403, &headers, "");
        assert_eq!(attempt.skew(now()), Some(300));
        assert_eq!(attempt.next(0, now()), Next::Limited(seconds(301)));
    }

    #[test]
    fn transient_failures_are_retried_three_times() {
        let transient = Attempt {
            status: Some(502),
            ..Attempt::default()
        };
        let pauses: Vec<Next> = (0..4).map(|number| transient.next(number, now())).collect();
        let retry = |ms| Next::Retry(Duration::from_millis(ms));
        assert_eq!(pauses, [retry(500), retry(1000), retry(2000), Next::Fail]);
        assert_eq!(Attempt::default().next(0, now()), retry(500));
        for status in [400, 401, 404, 409, 422] {
            let refused = Attempt {
                status: Some(status),
                ..Attempt::default()
            };
            assert_eq!(refused.next(0, now()), Next::Fail);
        }
        let secondary = attempt(429, &[], "");
        assert_eq!(secondary.next(2, now()), Next::Limited(seconds(240)));
    }
}
