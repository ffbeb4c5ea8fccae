//! Whether a token has the form that belongs in its place, before a runner is started with it.
//!
//! Every message says what was found and what belongs there. No message quotes the token.

mod encoded;
mod expiry;
mod form;
mod github;

use super::error::FlavorError;
use crate::secrets::{Secret, Store};

use form::{Check, kind, one_word};
pub(super) use github::{jit, registration};

/// Takes a secret out of the store and checks it.
///
/// # Errors
/// [`FlavorError::Token`] with the check's sentence.
pub(super) fn remove_checked(
    store: &mut Store,
    key: &str,
    check: fn(&str) -> Result<Option<String>, String>,
) -> Result<Option<Secret>, FlavorError> {
    let Some(secret) = store.remove(key) else {
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

/// Rejects a token that copying and pasting has changed.
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

/// Checks CircleCI's resource-class token. It is opaque, so only other kinds of tokens can be recognized.
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
    fn resource_class_rejects_other_kinds_of_tokens() {
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
            remove_checked(&mut Store::default(), "token", resource_class)
                .unwrap()
                .is_none()
        );
    }
}
