//! Base64: what a JIT configuration is in, and what a Kubernetes Secret's `data` adds once too often.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

/// The cure of a value that was encoded by hand and by Kubernetes.
pub(super) const TWICE: &str = "is in base64 twice; `data:` of a Secret wants it once, `stringData:` and `kubectl create secret` take it as it is";

/// The text that `value` is the base64 form of.
pub(super) fn decode(value: &str) -> Option<Zeroizing<String>> {
    let bytes = STANDARD.decode(value).ok()?;
    String::from_utf8(bytes).ok().map(Zeroizing::new)
}

/// A part of a JSON web token.
pub(super) fn decode_url_safe(value: &str) -> Option<Zeroizing<String>> {
    let bytes = URL_SAFE_NO_PAD.decode(value.trim_end_matches('=')).ok()?;
    String::from_utf8(bytes).ok().map(Zeroizing::new)
}

/// Whether `value` is the base64 form of something that `is_token` takes.
pub(super) fn hides(value: &str, is_token: impl Fn(&str) -> bool) -> bool {
    decode(value).is_some_and(|inner| is_token(inner.trim()))
}

#[cfg(test)]
pub(super) fn encode(text: &str) -> String {
    STANDARD.encode(text)
}
