//! Base64: the encoding of a JIT configuration, and of values in a Kubernetes Secret's `data`.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

/// The fault and remedy of a value that both the user and Kubernetes encoded.
pub(super) const TWICE: &str = "is in base64 twice; `data:` of a Secret wants it once, `stringData:` and `kubectl create secret` take it as it is";

/// Decodes `value` from base64 to text.
pub(super) fn decode(value: &str) -> Option<Zeroizing<String>> {
    let bytes = STANDARD.decode(value).ok()?;
    String::from_utf8(bytes).ok().map(Zeroizing::new)
}

/// A part of a JSON web token.
pub(super) fn decode_url_safe(value: &str) -> Option<Zeroizing<String>> {
    let bytes = URL_SAFE_NO_PAD.decode(value.trim_end_matches('=')).ok()?;
    String::from_utf8(bytes).ok().map(Zeroizing::new)
}

/// Whether `value` decodes to a text that `is_token` accepts.
pub(super) fn hides(value: &str, is_token: impl Fn(&str) -> bool) -> bool {
    decode(value).is_some_and(|inner| is_token(inner.trim()))
}

#[cfg(test)]
pub(super) fn encode(text: &str) -> String {
    STANDARD.encode(text)
}
