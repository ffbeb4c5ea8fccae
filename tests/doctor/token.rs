//! Unsigned JWTs with a validity, RFC 7519.

use std::time::{SystemTime, UNIX_EPOCH};

/// Returns a JWT that is valid from and until these seconds from now.
pub(crate) fn token(begins: i64, expires: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let at = |seconds: i64| now.as_secs().checked_add_signed(seconds).unwrap();
    let claims = format!(r#"{{"iat":{},"exp":{}}}"#, at(begins), at(expires));
    format!("eyJhbGciOiJub25lIn0.{}.c2ln", base64(&claims))
}

fn base64(text: &str) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits = |byte: u8| (0..8).rev().map(move |bit| (byte >> bit) & 1);
    let bits: Vec<u8> = text.bytes().flat_map(bits).collect();
    let letter = |bits: &[u8]| {
        let sum = (0..6).fold(0, |sum, bit| {
            (sum << 1) | bits.get(bit).copied().unwrap_or(0)
        });
        char::from(LETTERS[usize::from(sum)])
    };
    bits.chunks(6).map(letter).collect()
}
