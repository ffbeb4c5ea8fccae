//! Times: RFC 3339 in UTC and with offsets.

use serde_json::Value;

use super::function::{Function, function};
use crate::budget::Context;
use crate::error::{BakeError, Result};
use crate::value::text;

pub(super) const FUNCTIONS: &[Function] = &[
    function("timestamp", (0, 0), |_, context| {
        let now = i64::try_from(context.now).unwrap_or(0);
        Ok(Value::String(
            Time {
                seconds: now,
                offset: 0,
            }
            .rfc3339(),
        ))
    }),
    function("formatdate", (2, 2), format_time),
    function("formattimestamp", (2, 2), format_time),
    function("timeadd", (2, 2), |a, _| {
        let mut time = parse(&text(&a[0])?)?;
        time.seconds = time.seconds.saturating_add(duration(&text(&a[1])?)?);
        Ok(Value::String(time.rfc3339()))
    }),
];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = [
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
];

/// A time in seconds since 1970, and the offset of its zone in seconds.
#[derive(Clone, Copy)]
struct Time {
    seconds: i64,
    offset: i64,
}

impl Time {
    /// Returns year, month and day in the zone.
    fn date(self) -> (i64, i64, i64) {
        let days = (self.seconds + self.offset).div_euclid(86_400) + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        (year + era * 400 + i64::from(month <= 2), month, day)
    }

    /// Returns hour, minute and second in the zone.
    fn clock(self) -> (i64, i64, i64) {
        let seconds = (self.seconds + self.offset).rem_euclid(86_400);
        (seconds / 3600, seconds / 60 % 60, seconds % 60)
    }

    fn zone(self, colon: &str) -> String {
        let sign = if self.offset < 0 { '-' } else { '+' };
        let minutes = self.offset.abs() / 60;
        format!("{sign}{:02}{colon}{:02}", minutes / 60, minutes % 60)
    }

    fn rfc3339(self) -> String {
        let ((year, month, day), (hour, minute, second)) = (self.date(), self.clock());
        let zone = if self.offset == 0 {
            "Z".to_owned()
        } else {
            self.zone(":")
        };
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{zone}")
    }
}

/// Reads RFC 3339.
fn parse(written: &str) -> Result<Time> {
    let wrong = || {
        BakeError::new(format!(
            "{written:?} is no time such as 2026-01-31T12:00:00Z"
        ))
    };
    let field = |range: std::ops::Range<usize>| -> Result<i64> {
        let digits = written
            .get(range)
            .filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        digits.and_then(|text| text.parse().ok()).ok_or_else(wrong)
    };
    let (year, month, day) = (field(0..4)?, field(5..7)?, field(8..10)?);
    let (hour, minute, second) = (field(11..13)?, field(14..16)?, field(17..19)?);
    let separators = [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":")];
    let separated = separators
        .iter()
        .all(|(at, s)| written.get(*at..at + 1) == Some(*s));
    let valid = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24;
    if !separated || !valid || minute > 59 || second > 60 {
        return Err(wrong());
    }
    let zone = written[19..].trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let offset = match zone.as_bytes() {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let start = written.len() - 5;
            let minutes = field(start..start + 2)? * 60 + field(start + 3..start + 5)?;
            minutes * if *sign == b'-' { -60 } else { 60 }
        }
        _ => return Err(wrong()),
    };
    // Days since 1970 of a date, with March as the first month.
    let shifted = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = shifted * 365 + shifted.div_euclid(4) - shifted.div_euclid(100)
        + shifted.div_euclid(400)
        + day_of_year
        - 719_468;
    Ok(Time {
        seconds: days * 86_400 + hour * 3600 + minute * 60 + second - offset,
        offset,
    })
}

/// Reads a duration of Go's, such as `-1h30m`, in whole seconds.
fn duration(written: &str) -> Result<i64> {
    let wrong = || BakeError::new(format!("{written:?} is no duration such as 1h30m"));
    let (sign, mut rest) = match written.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, written.strip_prefix('+').unwrap_or(written)),
    };
    let mut total = 0_i64;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let count: i64 = rest[..end].parse().map_err(|_| wrong())?;
        let unit = match rest.as_bytes()[end] {
            b'h' => 3600,
            b'm' => 60,
            b's' => 1,
            _ => return Err(wrong()),
        };
        let part = count.checked_mul(unit).ok_or_else(wrong)?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = &rest[end + 1..];
    }
    Ok(total * sign)
}

/// Formats a time. Letters that repeat form a field: `YYYY-MM-DD`.
fn format_time(arguments: &[Value], _: &mut Context) -> Result<Value> {
    let pattern = text(&arguments[0])?;
    let time = match &arguments[1] {
        Value::Number(seconds) => {
            let seconds = seconds.as_i64().unwrap_or(0);
            Time {
                seconds: seconds.clamp(-62_135_596_800, 253_402_300_799),
                offset: 0,
            }
        }
        other => parse(&text(other)?)?,
    };
    let mut written = String::new();
    let mut rest = pattern.as_str();
    while let Some(letter) = rest.chars().next() {
        if letter == '\'' {
            let (quoted, after) = quoted(&rest[1..])?;
            written.push_str(&quoted);
            rest = after;
            continue;
        }
        let length = rest.chars().take_while(|next| *next == letter).count() * letter.len_utf8();
        let (run, after) = rest.split_at(length);
        rest = after;
        written.push_str(&field(run, letter, time)?);
    }
    Ok(Value::String(written))
}

/// Returns a text in single quotes. A doubled quote in it means one quote.
fn quoted(mut rest: &str) -> Result<(String, &str)> {
    let mut text = String::new();
    loop {
        let end = rest
            .find('\'')
            .ok_or_else(|| BakeError::new("a quote has no end"))?;
        text.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('\'') {
            Some(after) => {
                text.push('\'');
                rest = after;
            }
            None => return Ok((text, rest)),
        }
    }
}

fn field(run: &str, letter: char, time: Time) -> Result<String> {
    let ((year, month, day), (hour, minute, second)) = (time.date(), time.clock());
    let half = if hour % 12 == 0 { 12 } else { hour % 12 };
    let month_name = MONTHS
        .get(usize::try_from(month - 1).unwrap_or(0))
        .unwrap_or(&"");
    let weekday = (time.seconds + time.offset)
        .div_euclid(86_400)
        .rem_euclid(7);
    let day_name = DAYS
        .get(usize::try_from(weekday).unwrap_or(0))
        .unwrap_or(&"");
    Ok(match run {
        "YYYY" => format!("{year:04}"),
        "YY" => format!("{:02}", year.rem_euclid(100)),
        "MMMM" => (*month_name).to_owned(),
        "MMM" => month_name.chars().take(3).collect(),
        "MM" => format!("{month:02}"),
        "M" => month.to_string(),
        "DD" => format!("{day:02}"),
        "D" => day.to_string(),
        "EEEE" => (*day_name).to_owned(),
        "EEE" => day_name.chars().take(3).collect(),
        "hh" => format!("{hour:02}"),
        "h" => hour.to_string(),
        "HH" => format!("{half:02}"),
        "H" => half.to_string(),
        "AA" => if hour < 12 { "AM" } else { "PM" }.to_owned(),
        "aa" => if hour < 12 { "am" } else { "pm" }.to_owned(),
        "mm" => format!("{minute:02}"),
        "m" => minute.to_string(),
        "ss" => format!("{second:02}"),
        "s" => second.to_string(),
        "ZZZZZ" => time.zone(":"),
        "ZZZZ" => time.zone(""),
        "ZZZ" if time.offset == 0 => "UTC".to_owned(),
        "ZZZ" => time.zone(""),
        "Z" if time.offset == 0 => "Z".to_owned(),
        "Z" => time.zone(":"),
        run if !letter.is_ascii_alphabetic() => run.to_owned(),
        run => {
            return Err(BakeError::new(format!(
                "unknown field {run}; quote text with ''"
            )));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        for written in [
            "1970-01-01T00:00:00Z",
            "2026-11-30T20:24:08Z",
            "2000-02-29T23:59:59+02:00",
        ] {
            assert_eq!(parse(written).unwrap().rfc3339(), written);
        }
        assert_eq!(parse("2000-03-01T00:00:00Z").unwrap().seconds, 951_868_800);
        for wrong in [
            "",
            "2026-11-30",
            "2026-13-30T20:24:08Z",
            "2026-11-30T20:24:08",
            "ü026-11-30T20:24:08Z",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(duration("-1h30m").unwrap(), -5400);
        assert!(
            duration("1x").is_err()
                && duration("").is_err()
                && duration("9223372036854775807h").is_err()
        );
    }
}
