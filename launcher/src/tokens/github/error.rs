//! Errors of the GitHub API.

use super::endpoint::Scope;
use super::rejection::{GithubErrorKind, Rejection};
use super::remedy::remedy;

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
