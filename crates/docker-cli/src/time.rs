//! Times as Docker prints them.

/// Returns a time of RFC 3339 in UTC as seconds since 1970. Returns `None` for another form or an earlier time.
pub(super) fn seconds(time: &str) -> Option<u64> {
    let (date, clock) = time.strip_suffix('Z')?.split_once('T')?;
    let number = |text: &str| text.parse::<u64>().ok();
    let mut parts = date.split('-').map(number);
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let clock = clock.split('.').next()?;
    let mut parts = clock.split(':').map(number);
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let valid =
        (1970..10_000).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    valid.then(|| days(year, month, day) * 86_400 + hours * 3_600 + minutes * 60 + seconds)
}

/// Returns the days since 1970 of a date of the Gregorian calendar.
fn days(year: u64, month: u64, day: u64) -> u64 {
    // A year that begins in March ends with the leap day.
    let (year, month) = match month {
        1 | 2 => (year - 1, month + 9),
        _ => (year, month - 3),
    };
    let before = |year: u64| year * 365 + year / 4 - year / 100 + year / 400;
    before(year) + (153 * month + 2) / 5 + day - 1 - 719_468
}

/// Returns the time without a fraction of a second.
pub(super) fn without_fraction(time: &str) -> String {
    match time.split_once('.') {
        Some((whole, _)) => format!("{whole}Z"),
        None => time.to_owned(),
    }
}

/// Returns a duration in seconds as text. Source: <https://github.com/docker/go-units/blob/master/duration.go>.
pub(super) fn since(seconds: u64) -> String {
    let (minutes, hours) = (seconds / 60, (seconds + 1_800) / 3_600);
    match (seconds, minutes, hours) {
        (0, ..) => "Less than a second".to_owned(),
        (1, ..) => "1 second".to_owned(),
        (2..60, ..) => format!("{seconds} seconds"),
        (_, 1, _) => "About a minute".to_owned(),
        (_, 2..60, _) => format!("{minutes} minutes"),
        (.., 1) => "About an hour".to_owned(),
        (.., 2..48) => format!("{hours} hours"),
        (.., 48..336) => format!("{} days", hours / 24),
        (.., 336..1_440) => format!("{} weeks", hours / 24 / 7),
        (.., 1_440..17_520) => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_printed() {
        for (time, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T12:00:00.5Z", Some(951_825_600)),
            ("2026-11-30T16:25:19.88334976Z", Some(1_796_055_919)),
            ("0001-01-01T00:00:00Z", None),
            ("2026-11-30", None),
            ("", None),
        ] {
            assert_eq!(seconds(time), expected, "{time}");
        }
        assert_eq!(
            without_fraction("2026-11-30T16:25:19.883Z"),
            "2026-11-30T16:25:19Z"
        );
        for (seconds, expected) in [
            (0, "Less than a second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (3_599, "59 minutes"),
            (3_600, "About an hour"),
            (172_800, "2 days"),
            (5_184_000, "2 months"),
            (1_796_055_919, "56 years"),
        ] {
            assert_eq!(since(seconds), expected);
        }
    }
}
