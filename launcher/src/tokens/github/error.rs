//! Errors of the GitHub API.

use super::endpoint::Scope;
use super::remedy::remedy;

/// The kind of a GitHub failure. It decides about retries, rollback and the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GithubErrorKind {
    /// 401: the token or key is not accepted.
    Unauthorized,
    /// 403: the token lacks a permission.
    Forbidden,
    /// 404 or 410: the object does not exist, or the token may not see it.
    NotFound,
    /// 409: the name is taken.
    Exists,
    /// 422, a redirect or another 4xx: the request is invalid.
    Invalid,
    /// 403 or 429: too many requests.
    Limited,
    /// 5xx, no connection, or no response in time. GitHub may have executed the request.
    Unavailable,
    /// The response does not match GitHub's documentation. GitHub may have executed the request.
    Malformed,
    /// The cause is on this machine: a key, a certificate.
    Local,
}

impl GithubErrorKind {
    /// Returns whether GitHub may have executed the request although it failed here.
    #[must_use]
    pub fn may_have_succeeded(self) -> bool {
        matches!(self, Self::Unavailable | Self::Malformed)
    }

    fn of_status(status: u16) -> Self {
        match status {
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 | 410 => Self::NotFound,
            409 => Self::Exists,
            429 => Self::Limited,
            500.. => Self::Unavailable,
            _ => Self::Invalid,
        }
    }
}

/// A failed GitHub request: the operation, GitHub's message and the remedy.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{operation}: {message}. {remedy}")]
pub struct GithubError {
    /// The operation that failed, as in `registering the runner "runner-1"`.
    pub operation: String,
    /// The message of GitHub or of the network layer.
    pub message: String,
    /// What the user has to change.
    pub remedy: String,
    /// The kind of failure.
    pub kind: GithubErrorKind,
    /// How far GitHub's clock is ahead of this machine's, in seconds.
    pub(super) skew: Option<i64>,
}

/// A response of GitHub that rejects a request.
pub(super) struct Rejection<'a> {
    pub(super) operation: &'a str,
    pub(super) status: u16,
    pub(super) message: &'a str,
    /// How far GitHub's clock is ahead of this machine's, in seconds.
    pub(super) skew: Option<i64>,
    /// Whether the request was authenticated with an App's own token.
    pub(super) by_app: bool,
}

impl GithubError {
    pub(super) fn rejected(rejection: &Rejection<'_>, scope: &Scope) -> Self {
        let kind = GithubErrorKind::of_status(rejection.status);
        Self {
            operation: rejection.operation.to_owned(),
            message: format!(
                "GitHub returned {} ({})",
                rejection.status, rejection.message
            ),
            remedy: remedy(kind, rejection, scope),
            kind,
            skew: rejection.skew,
        }
    }

    pub(super) fn new(
        kind: GithubErrorKind,
        operation: impl Into<String>,
        message: impl Into<String>,
        remedy: &str,
    ) -> Self {
        Self {
            operation: operation.into(),
            message: message.into(),
            remedy: remedy.to_owned(),
            kind,
            skew: None,
        }
    }

    pub(super) fn malformed(operation: impl Into<String>, reason: &str) -> Self {
        let message = format!("the response does not match GitHub's documentation ({reason})");
        let remedy = "Check that --github-url names a GitHub server, not a proxy or a login page; an Enterprise Server must support just-in-time runners";
        Self::new(GithubErrorKind::Malformed, operation, message, remedy)
    }

    pub(super) fn limited(operation: impl Into<String>, message: &str, seconds: u64) -> Self {
        let message =
            format!("GitHub's rate limit is used up for {seconds} more seconds ({message})");
        let remedy = "Launch fewer jobs at once, wait longer with --patience, or use a separate App: each installation has its own limit";
        Self::new(GithubErrorKind::Limited, operation, message, remedy)
    }

    pub(super) fn no_group(operation: String, names: &[String], scope: &Scope) -> Self {
        let message = format!(
            "there is no such group; {} has {}",
            scope.description(),
            names.join(", ")
        );
        let remedy = "Name one of these groups with --runner-group, or create the group in the settings, \"Actions\", \"Runner groups\"";
        Self::new(GithubErrorKind::NotFound, operation, message, remedy)
    }
}
