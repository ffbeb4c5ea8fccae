//! Whether a token has the form that belongs in its place, before a runner is started with it.
//!
//! Every message says what was found and what belongs there, and none quotes the token.

mod encoded;
mod expiry;
mod github;

use super::FlavorError;
use crate::secrets::{Secret, Store};

pub(super) use github::{jit, registration};

/// A fault, as a sentence.
type Check = Result<(), String>;

/// Takes a secret out of the store and checks it.
///
/// # Errors
/// [`FlavorError::Token`] with the check's sentence.
pub(super) fn take(
    store: &mut Store,
    key: &str,
    check: fn(&str) -> Result<Option<String>, String>,
) -> Result<Option<Secret>, FlavorError> {
    let Some(secret) = store.take(key) else {
        return Ok(None);
    };
    let faulty = |problem| FlavorError::Token {
        key: key.to_owned(),
        problem,
    };
    unspoilt(secret.expose()).map_err(faulty)?;
    let instead = check(secret.expose()).map_err(faulty)?;
    Ok(Some(instead.map_or(secret, Secret::new)))
}

/// What copying and pasting does to a token.
fn unspoilt(token: &str) -> Check {
    let inner = token.trim();
    if inner.is_empty() {
        return Err("holds only white space".to_owned());
    }
    if inner.len() != token.len() {
        return Err(
            "has white space or a stray newline at an end; write it with `printf %s`, not `echo`"
                .to_owned(),
        );
    }
    let quoted = |quote: char| inner.starts_with(quote) && inner.ends_with(quote);
    if inner.len() > 1 && (quoted('"') || quoted('\'') || quoted('`')) {
        return Err("stands in quotes; they became part of it, leave them out".to_owned());
    }
    Ok(())
}

/// One word of printable characters.
fn one_word(token: &str) -> Check {
    if token.chars().all(|character| character.is_ascii_graphic()) {
        Ok(())
    } else {
        Err(
            "holds white space or characters that no token has; was more than the token copied?"
                .to_owned(),
        )
    }
}

/// Kinds of tokens that are told by their beginning.
const KINDS: [(&str, &str); 11] = [
    ("ghp_", "a personal access token"),
    ("github_pat_", "a fine-grained personal access token"),
    ("gho_", "an OAuth access token"),
    ("ghu_", "a GitHub App's user token"),
    ("ghs_", "an installation token of a GitHub App"),
    ("ghr_", "a refresh token"),
    ("-----BEGIN", "a private key or certificate (PEM)"),
    ("CCIPAT_", "a personal API token of CircleCI"),
    ("CCIPRJ_", "a project API token of CircleCI"),
    ("glrt-", "a runner token of GitLab"),
    ("eyJ", "a JSON web token"),
];

/// What a token is by its beginning, if that tells.
fn kind(token: &str) -> Option<&'static str> {
    let known = KINDS.iter().find(|(start, _)| token.starts_with(start));
    // Base64 of any JSON object begins like a web token, whose parts are separated by dots.
    known
        .filter(|(start, _)| *start != "eyJ" || token.contains('.'))
        .map(|(_, kind)| *kind)
}

/// CircleCI's resource-class token: opaque, so only what it is not can be told.
pub(super) fn resource_class(token: &str) -> Result<Option<String>, String> {
    let belongs =
        "a resource-class token belongs (circleci runner resource-class create … --generate-token)";
    if let Some(kind) = kind(token) {
        return Err(format!("is {kind}, where {belongs}"));
    }
    if token.contains("auth_token:") {
        return Err(format!(
            "is a configuration file, where {belongs}; take the value of auth_token alone"
        ));
    }
    one_word(token)?;
    if encoded::hides(token, |inner| {
        inner.len() >= 40 && inner.bytes().all(|byte| byte.is_ascii_hexdigit())
    }) {
        return Err(encoded::TWICE.to_owned());
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pasting_does_is_named() {
        let fault = |token| unspoilt(token).unwrap_err();
        assert!(fault("abc\n").contains("stray newline"));
        assert!(fault("abc\r").contains("white space"));
        assert!(fault(" abc").contains("white space"));
        assert!(fault("\"abc\"").contains("quotes"));
        assert!(fault("'abc'").contains("quotes"));
        assert!(fault(" \n").contains("only white space"));
        assert!(unspoilt("abc").is_ok());
    }

    #[test]
    fn a_resource_class_token_is_told_from_others() {
        let token = "0123456789abcdef".repeat(5);
        assert_eq!(resource_class(&token), Ok(None));
        let fault = |token: &str| resource_class(token).unwrap_err();
        assert!(fault("CCIPAT_abc").contains("personal API token"));
        assert!(fault("ghp_abc").contains("personal access token"));
        assert!(fault("api:\n  auth_token: abc").contains("auth_token alone"));
        assert!(fault("two words").contains("white space"));
        assert!(fault(&encoded::encode(&token)).contains("base64 twice"));
    }

    #[test]
    fn a_missing_token_is_no_fault_here() {
        assert!(
            take(&mut Store::default(), "token", resource_class)
                .unwrap()
                .is_none()
        );
    }
}
