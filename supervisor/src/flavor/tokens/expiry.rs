//! When a token ends: RFC 3339 times of the vendors' APIs, and the `exp` of a JSON web token (RFC 7519, 4.1.4).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;

use super::encoded;

#[derive(Deserialize)]
struct Claims {
    exp: Option<u64>,
}

/// Returns the expiry of a JSON web token. Returns `None` for other tokens and without `exp`.
pub(super) fn of_jwt(token: &str) -> Option<SystemTime> {
    let mut parts = token.split('.');
    let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
    let claims: Claims = serde_json::from_str(&encoded::decode_url_safe(claims)?).ok()?;
    Some(UNIX_EPOCH + Duration::from_secs(claims.exp?))
}

/// Parses a time in the form of GitHub's API: with `Z` or an offset.
pub(super) fn of_text(text: &str) -> Option<SystemTime> {
    if let Ok(time) = humantime::parse_rfc3339(text) {
        return Some(time);
    }
    let split = text.len().checked_sub(6)?;
    let (local, offset) = (text.get(..split)?, text.get(split..)?);
    let time = humantime::parse_rfc3339(&format!("{local}Z")).ok()?;
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let seconds = hours.parse::<u64>().ok()? * 3600 + minutes.parse::<u64>().ok()? * 60;
    let offset_length = Duration::from_secs(seconds);
    match offset.as_bytes().first()? {
        b'+' => time.checked_sub(offset_length),
        b'-' => time.checked_add(offset_length),
        _ => None,
    }
}

/// Returns a sentence if that time has passed.
pub(super) fn over(end: SystemTime, cure: &str) -> Result<(), String> {
    match SystemTime::now().duration_since(end) {
        Ok(since) if !since.is_zero() => {
            let seconds = Duration::from_secs(since.as_secs());
            let end = humantime::format_rfc3339_seconds(end);
            let since = humantime::format_duration(seconds);
            Err(format!("expired at {end}, {since} ago; {cure}"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_and_without_an_offset() {
        let utc = of_text("2020-01-22T20:13:35Z").unwrap();
        assert_eq!(of_text("2020-01-22T12:13:35.000-08:00"), Some(utc));
        assert_eq!(of_text("2020-01-22T21:43:35+01:30"), Some(utc));
        assert_eq!(of_text("tomorrow"), None);
        assert!(
            over(utc, "mint anew")
                .unwrap_err()
                .contains("expired at 2020-01-22T20:13:35Z")
        );
        assert!(over(SystemTime::now() + Duration::from_secs(60), "").is_ok());
    }

    #[test]
    fn the_end_of_a_web_token_is_in_its_claims() {
        // {"alg":"none"} . {"exp":1} . signature
        let end = of_jwt("eyJhbGciOiJub25lIn0.eyJleHAiOjF9.c2ln");
        assert_eq!(end, Some(UNIX_EPOCH + Duration::from_secs(1)));
        assert_eq!(of_jwt("a.b"), None);
        assert_eq!(of_jwt("opaque"), None);
    }
}
