//! A response of GitHub that rejects a request, and the kind of each failure.

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

    pub(super) fn of_status(status: u16) -> Self {
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
