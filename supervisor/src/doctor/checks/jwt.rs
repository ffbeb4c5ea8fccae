//! When a token was issued and when it expires, as far as it tells: JSON Web Tokens, RFC 7519.
//!
//! No signature is verified, and nothing but two numbers is kept.

use serde::Deserialize;

/// What a token says about itself, in seconds since 1970.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Times {
    /// `iat`.
    #[serde(rename = "iat")]
    pub(super) issued: Option<u64>,
    /// `exp`.
    #[serde(rename = "exp")]
    pub(super) expires: Option<u64>,
}

/// The times of the first JSON Web Token in a text: the text itself, or a word within it, or, as in GitHub's JIT
/// configuration, a word within base64 within it.
pub(super) fn times(text: &str) -> Option<Times> {
    within(text, 3)
}

fn within(text: &str, depth: usize) -> Option<Times> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || "-_.+/=".contains(letter);
    let words = text
        .split(|letter| !is_part(letter))
        .filter(|word| word.len() > 8);
    words.into_iter().find_map(|word| {
        token(word).or_else(|| {
            let decoded = String::from_utf8(base64(word)?).ok()?;
            within(&decoded, depth.checked_sub(1)?)
        })
    })
}

fn token(word: &str) -> Option<Times> {
    let mut parts = word.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    serde_json::from_slice(&base64(payload)?).ok()
}

/// RFC 4648, both alphabets, with or without padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0_u32, 0);
    for letter in text.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// {"alg":"none"} . {"iat":1,"exp":2} . x
    const TOKEN: &str = "eyJhbGciOiJub25lIn0.eyJpYXQiOjEsImV4cCI6Mn0.eA";

    #[test]
    fn a_token_tells_its_times_by_itself_and_within_base64() {
        let expected = Some(Times {
            issued: Some(1),
            expires: Some(2),
        });
        assert_eq!(times(TOKEN), expected);
        assert_eq!(times(&format!("{{\"token\": \"{TOKEN}\"}}\n")), expected);
        // The base64 of `{"t":"…"}` around the token.
        let wrapped = "eyJ0IjoiZXlKaGJHY2lPaUp1YjI1bEluMC5leUpwWVhRaU9qRXNJbVY0Y0NJNk1uMC5lQSJ9";
        assert_eq!(times(wrapped), expected);
    }

    #[test]
    fn what_is_no_token_has_no_times() {
        assert_eq!(times("hunter2-hunter2.hunter2.hunter2"), None);
        assert_eq!(times(&"A".repeat(60_000)), None);
        assert_eq!(times("a.b"), None);
    }
}
