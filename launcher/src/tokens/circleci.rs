//! CircleCI issues no token for one job. The resource class's token goes into the Secret of each job.

use crate::secret::Secret;

/// A text that is not a resource class's token. The error does not quote the text.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TokenError {
    /// The text is empty.
    #[error("the resource class's token is empty; put the token into the file or variable")]
    Empty,
    /// The text is another kind of CircleCI token.
    #[error(
        "expected a resource class's token, found a {0} API token of CircleCI; run \"circleci runner token create NAMESPACE/NAME NICKNAME\""
    )]
    OtherKind(&'static str),
    /// The text has characters that no token has.
    #[error(
        "the resource class's token contains white space, quotes or control characters; put the token alone into the file or variable"
    )]
    Form,
}

/// Parses the content of a file or variable as a resource class's token. One newline at the end is dropped.
///
/// ```
/// use launcher::tokens::circleci::{TokenError, token};
/// assert!(token("0123456789abcdef\n").is_ok());
/// assert_eq!(token("CCIPAT_x").unwrap_err(), TokenError::OtherKind("personal"));
/// ```
///
/// # Errors
/// If the text is empty, is another kind of token, or contains white space or quotes.
pub fn token(text: &str) -> Result<Secret, TokenError> {
    let token = text.strip_suffix('\n').unwrap_or(text);
    let token = token.strip_suffix('\r').unwrap_or(token);
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'');
    match token {
        "" => Err(TokenError::Empty),
        _ if token.starts_with("CCIPAT_") => Err(TokenError::OtherKind("personal")),
        _ if token.starts_with("CCIPRJ_") => Err(TokenError::OtherKind("project")),
        _ if token.contains(odd) => Err(TokenError::Form),
        _ => Ok(Secret::new(token.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_tokens_are_rejected_with_the_reason() {
        assert_eq!(token("\n").unwrap_err(), TokenError::Empty);
        assert_eq!(
            token("CCIPRJ_x").unwrap_err(),
            TokenError::OtherKind("project")
        );
        for text in ["\"x\"", "a b", "x\n\n", "runner:\n  auth_token: x"] {
            assert_eq!(token(text).unwrap_err(), TokenError::Form, "{text}");
        }
        assert_eq!(token("abc\r\n").unwrap().expose(), "abc");
    }
}
