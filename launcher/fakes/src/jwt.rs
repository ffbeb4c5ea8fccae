//! Verifies an App's JSON web token. The launcher only signs, so the test has its own check.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::Value;

/// Returns the claims of a JSON web token, if the App signed it with RS256 (RFC 7515, RFC 7518).
pub(super) fn claims(token: &str, public_pem: &[u8], issuer: &str) -> Option<Value> {
    let (message, signature) = token.rsplit_once('.')?;
    let (header, claims) = message.split_once('.')?;
    let decoded = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
    let key = DecodingKey::from_rsa_pem(public_pem).unwrap();
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.try_get_as_bytes().unwrap());
    key.verify(message.as_bytes(), &decoded(signature)?).ok()?;
    let header: Value = serde_json::from_slice(&decoded(header)?).ok()?;
    let claims: Value = serde_json::from_slice(&decoded(claims)?).ok()?;
    (header["alg"] == "RS256" && claims["iss"] == issuer).then_some(claims)
}
