//! CircleCI has nothing to mint: a resource class's token goes into a Secret for one job.

use crate::secret::Secret;

/// Why a text is not a resource class's token. The text itself is not quoted.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TokenError {
    /// Nothing.
    #[error("the resource class's token is empty")]
    Empty,
    /// One of CircleCI's other tokens.
    #[error(
        "this is a {0} API token of CircleCI's: a runner takes its resource class's, from \"circleci runner token create NAMESPACE/NAME NICKNAME\""
    )]
    OtherKind(&'static str),
    /// Not a token at all.
    #[error(
        "the resource class's token has white space or quotes in it: the token alone belongs there"
    )]
    Form,
}

/// A resource class's token, from a file's or variable's content. One newline at its end is dropped.
///
/// ```
/// use launcher::tokens::circleci::{TokenError, token};
/// assert!(token("0123456789abcdef\n").is_ok());
/// assert_eq!(token("CCIPAT_x").unwrap_err(), TokenError::OtherKind("personal"));
/// ```
///
/// # Errors
/// Where it is visibly none.
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
    fn what_is_no_token_is_named() {
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
