//! Reads the validity of a JWT, alone or in a JIT configuration, and the server of a JIT configuration.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// The validity of a JWT, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    /// The first second in which it is no longer valid.
    pub(super) expires: Option<i64>,
    /// The first second in which it is valid.
    pub(super) begins: Option<i64>,
}

/// A file that every JIT configuration has.
const RUNNER: &str = ".runner";
/// The nesting of a JIT configuration: Base64 of JSON whose values are Base64 of JSON.
const DEPTH: u8 = 4;

/// Returns the validity of a JWT, or of the first JWT in a JIT configuration. Other secrets are not searched: a file of
/// credentials may have an expired token and the means to renew it.
pub(super) fn times(text: &str) -> Option<Times> {
    let text = text.trim();
    of_token(text).or_else(|| within(&jit(text)?, DEPTH))
}

fn of_text(text: &str, depth: u8) -> Option<Times> {
    let depth = depth.checked_sub(1)?;
    of_token(text).or_else(|| within(&json(text)?, depth))
}

fn of_token(text: &str) -> Option<Times> {
    let claims = claims(text)?;
    let number = |name: &str| claims.get(name).and_then(Value::as_i64);
    Some(Times {
        expires: number("exp"),
        begins: number("nbf").or_else(|| number("iat")),
    })
}

/// Parses a JIT configuration: its files by name.
fn jit(text: &str) -> Option<Value> {
    json(text).filter(|files| files.get(RUNNER).is_some())
}

fn json(text: &str) -> Option<Value> {
    let plain = serde_json::from_str(text).ok();
    plain.or_else(|| serde_json::from_slice(&base64(text)?).ok())
}

/// Returns the server of a JIT configuration. Its file .runner, in Base64, has the URL.
pub(super) fn server(text: &str) -> Option<String> {
    let files = jit(text.trim())?;
    let settings = json(files.get(RUNNER)?.as_str()?)?;
    let field = |name: &str| settings.get(name)?.as_str().map(str::to_owned);
    field("gitHubUrl").or_else(|| field("GitHubUrl"))
}

fn within(value: &Value, depth: u8) -> Option<Times> {
    match value {
        Value::String(text) => of_text(text, depth),
        Value::Array(values) => values.iter().find_map(|value| within(value, depth)),
        Value::Object(fields) => fields.values().find_map(|value| within(value, depth)),
        _ => None,
    }
}

/// Parses the claims of a JWT, RFC 7519: HEADER.CLAIMS.SIGNATURE, each in Base64.
fn claims(text: &str) -> Option<Value> {
    let parts: Vec<&str> = text.split('.').collect();
    let [header, claims, _] = parts.as_slice() else {
        return None;
    };
    let object = |part: &str| serde_json::from_slice::<Value>(&base64(part)?).ok();
    object(header)?.get("alg")?;
    object(claims)
}

/// Decodes Base64 of either alphabet, RFC 4648, padded or not.
fn base64(text: &str) -> Option<Vec<u8>> {
    let letter = |letter: char| match letter {
        '+' => '-',
        '/' => '_',
        other => other,
    };
    let text: String = text
        .trim_end()
        .trim_end_matches('=')
        .chars()
        .map(letter)
        .collect();
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// {"alg":"none"} . {"exp":1700000000,"nbf":1600000000} . x
    const JWT: &str = "eyJhbGciOiJub25lIn0.eyJleHAiOjE3MDAwMDAwMDAsIm5iZiI6MTYwMDAwMDAwMH0.x";

    const TIMES: Times = Times {
        expires: Some(1_700_000_000),
        begins: Some(1_600_000_000),
    };

    fn encode(text: &str) -> String {
        base64::engine::general_purpose::STANDARD.encode(text)
    }

    #[test]
    fn jwt_is_read_alone_and_in_a_jit_configuration() {
        assert_eq!(times(JWT), Some(TIMES));
        assert_eq!(times(&format!("{JWT}\n")), Some(TIMES));
        let credentials = encode(&format!(r#"{{"data":{{"token":"{JWT}"}}}}"#));
        let jit = format!(r#"{{".runner":"e30=",".credentials":"{credentials}"}}"#);
        assert_eq!(times(&encode(&jit)), Some(TIMES));
    }

    #[test]
    fn jwt_in_another_secret_is_ignored() {
        let file = format!(r#"{{"access_token":"{JWT}","refresh_token":"x"}}"#);
        assert_eq!(times(&file), None);
        assert_eq!(times(&encode(&file)), None);
        assert_eq!(
            times(&format!(r#"{{"auths":{{"r":{{"auth":"{JWT}"}}}}}}"#)),
            None
        );
    }

    #[test]
    fn server_is_read_from_a_jit_configuration() {
        let settings = encode(r#"{"gitHubUrl":"https://github.example/o/r"}"#);
        let jit = encode(&format!(
            r#"{{".runner":"{settings}",".credentials":"e30="}}"#
        ));
        assert_eq!(server(&jit).as_deref(), Some("https://github.example/o/r"));
        assert_eq!(server(JWT), None);
    }

    #[test]
    fn other_secrets_have_no_times() {
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
