//! When to ask again: GitHub's two rate limits, and trouble that passes.
//!
//! The rules are those of <https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api>.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::fmt::rfc2822;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// How long to wait after a secondary limit that does not say.
const MINUTE: Duration = Duration::from_secs(60);
/// How often what may pass is tried.
const ATTEMPTS: u32 = 4;
/// The first pause after trouble; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(500);

/// What is known of a failed attempt.
#[derive(Debug, Default)]
pub(super) struct Attempt {
    /// None: there was no answer.
    pub(super) status: Option<u16>,
    /// From the header, in whichever form.
    pub(super) retry_after: Option<Duration>,
    /// Requests left under the primary limit.
    pub(super) remaining: Option<u64>,
    /// When the primary limit starts anew.
    pub(super) reset: Option<SystemTime>,
    /// GitHub's clock.
    pub(super) date: Option<SystemTime>,
    /// GitHub's words.
    pub(super) said: String,
}

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It will not get better.
    Fail,
    /// Ask again after so long.
    Again(Duration),
    /// The same, and GitHub said that we asked too often.
    Limited(Duration),
}

impl Attempt {
    /// What headers and words tell.
    pub(super) fn read(status: u16, headers: &HeaderMap, said: String, now: SystemTime) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let date = text("date").and_then(http_date);
        let after = headers
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok());
        Self {
            status: Some(status),
            retry_after: after.and_then(|after| wait(after, date.unwrap_or(now))),
            remaining: text("x-ratelimit-remaining").and_then(|text| text.parse().ok()),
            reset: text("x-ratelimit-reset")
                .and_then(|text| text.parse().ok())
                .and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds))),
            date,
            said,
        }
    }

    /// By how many seconds GitHub's clock is ahead of this one.
    pub(super) fn skew(&self, now: SystemTime) -> Option<i64> {
        let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).ok().map(|d| d.as_secs());
        let (theirs, ours) = (seconds(self.date?)?, seconds(now)?);
        Some(i64::try_from(theirs).ok()? - i64::try_from(ours).ok()?)
    }

    /// Decides, for the attempt of this number, the first being 0.
    pub(super) fn next(&self, number: u32, now: SystemTime) -> Next {
        let doubled = |first: Duration| first.saturating_mul(1 << number.min(16));
        match self.status {
            Some(403 | 429) => match self.limit(now) {
                Some(first) => Next::Limited(first.unwrap_or_else(|| doubled(MINUTE))),
                None => Next::Fail,
            },
            None | Some(500..) if number + 1 < ATTEMPTS => {
                Next::Again(self.retry_after.unwrap_or_else(|| doubled(PAUSE)))
            }
            _ => Next::Fail,
        }
    }

    /// Whether a limit is meant, and how long to wait if that is said.
    fn limit(&self, now: SystemTime) -> Option<Option<Duration>> {
        if let Some(after) = self.retry_after {
            return Some(Some(after));
        }
        if let (Some(0), Some(reset)) = (self.remaining, self.reset) {
            // GitHub's time, by GitHub's clock.
            let left = reset
                .duration_since(self.date.unwrap_or(now))
                .unwrap_or_default();
            return Some(Some(left + Duration::from_secs(1)));
        }
        let lower = self.said.to_ascii_lowercase();
        let meant = lower.contains("rate limit") || lower.contains("abuse detection");
        (meant || self.status == Some(429)).then_some(None)
    }
}

/// `Retry-After`: seconds, or a date.
fn wait(text: &str, now: SystemTime) -> Option<Duration> {
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

    fn attempt(status: u16, headers: &[(&'static str, &str)], said: &str) -> Attempt {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        Attempt::read(status, &headers.collect(), said.to_owned(), now())
    }

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn limits_say_how_long() {
        let reset = (NOW + 600).to_string();
        for (status, headers, said, next) in [
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
            let attempt = attempt(status, &headers, said);
            assert_eq!(attempt.next(0, now()), next, "{attempt:?}");
        }
    }

    #[test]
    fn a_reset_is_told_by_githubs_clock() {
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
    fn trouble_is_tried_again_and_then_told() {
        let trouble = Attempt {
            status: Some(502),
            ..Attempt::default()
        };
        let pauses: Vec<Next> = (0..4).map(|number| trouble.next(number, now())).collect();
        let again = |ms| Next::Again(Duration::from_millis(ms));
        assert_eq!(pauses, [again(500), again(1000), again(2000), Next::Fail]);
        assert_eq!(Attempt::default().next(0, now()), again(500));
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
