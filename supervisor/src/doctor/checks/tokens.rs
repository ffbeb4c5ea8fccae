//! When a token expires: a JWT says so itself, and some credentials are JSON, in Base64 or not, with a JWT in them.

use serde_json::Value;

/// Seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    /// Not valid any more from then on.
    pub(super) expires: Option<i64>,
    /// Not valid before.
    pub(super) begins: Option<i64>,
}

/// Deep enough for a JIT configuration: Base64 of JSON whose values are Base64 of JSON.
const DEPTH: u8 = 4;

/// The times of the first token in `text` that tells any.
pub(super) fn times(text: &str) -> Option<Times> {
    look(text.trim(), DEPTH)
}

fn look(text: &str, depth: u8) -> Option<Times> {
    let depth = depth.checked_sub(1)?;
    if let Some(claims) = claims(text) {
        let number = |name: &str| claims.get(name).and_then(Value::as_i64);
        return Some(Times {
            expires: number("exp"),
            begins: number("nbf").or_else(|| number("iat")),
        });
    }
    let json: Option<Value> = serde_json::from_str(text).ok();
    let json = json.or_else(|| serde_json::from_slice(&base64(text)?).ok());
    within(&json?, depth)
}

fn within(value: &Value, depth: u8) -> Option<Times> {
    match value {
        Value::String(text) => look(text, depth),
        Value::Array(values) => values.iter().find_map(|value| within(value, depth)),
        Value::Object(fields) => fields.values().find_map(|value| within(value, depth)),
        _ => None,
    }
}

/// The claims of a JWT, RFC 7519: HEADER.CLAIMS.SIGNATURE, each in Base64.
fn claims(text: &str) -> Option<Value> {
    let parts: Vec<&str> = text.split('.').collect();
    let [header, claims, _] = parts.as_slice() else {
        return None;
    };
    let object = |part: &str| serde_json::from_slice::<Value>(&base64(part)?).ok();
    object(header)?.get("alg")?;
    object(claims)
}

/// Base64 of either alphabet, RFC 4648, padded or not.
fn base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0u32, 0);
    for letter in text.bytes().filter(|letter| !letter.is_ascii_whitespace()) {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(((bits >> held) & 0xff) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// {"alg":"none"} . {"exp":1700000000,"nbf":1600000000} . x
    const JWT: &str = "eyJhbGciOiJub25lIn0.eyJleHAiOjE3MDAwMDAwMDAsIm5iZiI6MTYwMDAwMDAwMH0.x";

    #[test]
    fn a_jwt_tells_its_times_wherever_it_lies() {
        let times_of = Times {
            expires: Some(1_700_000_000),
            begins: Some(1_600_000_000),
        };
        assert_eq!(times(JWT), Some(times_of));
        assert_eq!(
            times(&format!("{{\"a\":[{{\"b\":\"{JWT}\"}}]}}\n")),
            Some(times_of)
        );
        // Base64 of {"t":"JWT"} with the same token.
        let wrapped = "eyJ0IjoiZXlKaGJHY2lPaUp1YjI1bEluMC5leUpsZUhBaU9qRTNNREF3TURBd01EQXNJbTVpWmlJNk1UWXdNREF3TURBd01IMC54In0=";
        assert_eq!(times(wrapped), Some(times_of));
    }

    #[test]
    fn other_secrets_tell_nothing() {
        for text in [
            "",
            "ghp_0123456789",
            "a.b.c",
            "{\"auths\":{}}",
            "AAAA",
            "1.2.3",
        ] {
            assert_eq!(times(text), None, "{text}");
        }
    }
}
