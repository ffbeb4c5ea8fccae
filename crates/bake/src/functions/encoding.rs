//! Base64, JSON and addresses.

use serde_json::Value;

use super::function::{Function, function};
use crate::error::{BakeError, Result};
use crate::value::text;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(super) const FUNCTIONS: &[Function] = &[
    function("base64encode", (1, 1), |a, _| {
        Ok(Value::String(encode(text(&a[0])?.as_bytes())))
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

fn encode(bytes: &[u8]) -> String {
    let mut written = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk
            .iter()
            .fold(0_u32, |group, byte| group << 8 | u32::from(*byte));
        let group = group << (8 * (3 - chunk.len()));
        for index in 0..4 {
            let letter = ALPHABET[(group >> (18 - 6 * index)) as usize & 63];
            let is_padding = index > chunk.len();
            written.push(if is_padding { '=' } else { char::from(letter) });
        }
    }
    written
}

fn decode(encoded: &str) -> Result<String> {
    let wrong = || BakeError::new("the text is no base64 of UTF-8");
    let mut bytes = Vec::new();
    let letters = encoded.as_bytes();
    if !letters.len().is_multiple_of(4) {
        return Err(wrong());
    }
    let count = letters.len() / 4;
    for (index, chunk) in letters.chunks(4).enumerate() {
        let padding = chunk.iter().rev().take_while(|byte| **byte == b'=').count();
        if padding > 2 || (padding > 0 && index + 1 < count) {
            return Err(wrong());
        }
        let mut group = 0_u32;
        for byte in &chunk[..4 - padding] {
            let digit = ALPHABET.iter().position(|letter| letter == byte);
            let digit = digit.ok_or_else(wrong)?;
            group = group << 6 | u32::try_from(digit).map_err(|_| wrong())?;
        }
        group <<= 6 * padding;
        bytes.extend_from_slice(&group.to_be_bytes()[1..4 - padding]);
    }
    String::from_utf8(bytes).map_err(|_| wrong())
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
            assert_eq!(encode(plain.as_bytes()), encoded);
            assert_eq!(decode(encoded).unwrap(), plain);
        }
        for wrong in ["YQ", "====", "Y*==", "YQ==YQ==", "/w=="] {
            assert!(decode(wrong).is_err(), "{wrong}");
        }
    }
}
