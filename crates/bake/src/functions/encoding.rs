//! Base64, JSON and addresses.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;

use super::function::{Function, function};
use crate::error::{BakeError, Result};
use crate::value::text;

/// Go's `base64.StdEncoding`: it demands the padding, and takes no notice of bits behind the last byte.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

pub(super) const FUNCTIONS: &[Function] = &[
    function("base64encode", (1, 1), |a, _| {
        Ok(Value::String(BASE64.encode(text(&a[0])?)))
    }),
    function("base64decode", (1, 1), |a, _| {
        decode(&text(&a[0])?).map(Value::String)
    }),
    function("jsonencode", (1, 1), |a, _| {
        Ok(Value::String(go_json(&a[0])))
    }),
    function("jsondecode", (1, 1), |a, _| {
        serde_json::from_str(&text(&a[0])?).map_err(|error| BakeError::new(error.to_string()))
    }),
    function("urlencode", (1, 1), |a, _| {
        let mut written = String::new();
        for byte in text(&a[0])?.bytes() {
            match byte {
                b' ' => written.push('+'),
                b'-' | b'_' | b'.' | b'~' => written.push(char::from(byte)),
                byte if byte.is_ascii_alphanumeric() => written.push(char::from(byte)),
                byte => written.push_str(&format!("%{byte:02X}")),
            }
        }
        Ok(Value::String(written))
    }),
];

/// Returns JSON as Go writes it: without `<`, `>` and `&`.
pub(crate) fn go_json(value: &Value) -> String {
    escaped(&value.to_string())
}

/// Escapes what Go escapes in JSON. These letters are in texts only.
pub(crate) fn escaped(json: &str) -> String {
    let json = json.replace('<', "\\u003c").replace('>', "\\u003e");
    let json = json.replace('&', "\\u0026");
    json.replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

fn decode(encoded: &str) -> Result<String> {
    let bytes = BASE64.decode(encoded).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| BakeError::new("the text is no base64 of UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_goes_both_ways() {
        for (plain, encoded) in [
            ("", ""),
            ("a", "YQ=="),
            ("ab", "YWI="),
            ("abc", "YWJj"),
            ("ü?", "w7w/"),
        ] {
            assert_eq!(BASE64.encode(plain), encoded);
            assert_eq!(decode(encoded).unwrap(), plain);
        }
        assert_eq!(decode("YR==").unwrap(), "a");
        for wrong in ["YQ", "====", "Y*==", "YQ==YQ==", "/w=="] {
            assert!(decode(wrong).is_err(), "{wrong}");
        }
    }
}
