//! Sends one request to GitHub, with timeouts, retries and rate limits.

use std::time::{Duration, SystemTime};

use reqwest::redirect::{Attempt as Redirect, Policy};
use reqwest::{Client, Method, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::endpoint::{Endpoint, Scope};
use super::error::GithubError;
use super::rate_limit::{Attempt, Next};
use super::rejection::{GithubErrorKind, Rejection};
use crate::secret::Secret;

/// The version of GitHub's API that these requests are written for.
const API_VERSION: &str = "2022-11-28";
/// The greatest size of a response's body, in bytes. The expected responses are far smaller.
const BODY_LIMIT: usize = 4 << 20;
/// The greatest length of GitHub's message in an error, in characters.
const MESSAGE_LIMIT: usize = 300;
const MAX_REDIRECTS: usize = 5;

/// Time limits of requests to GitHub.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// The time limit of one request. By default 30 seconds.
    pub request: Duration,
    /// The total time that an operation waits for rate limits to pass. By default 5 minutes.
    pub rate_limit: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(30),
            rate_limit: Duration::from_secs(300),
        }
    }
}

pub(super) struct Http {
    client: Client,
    api: String,
    timeouts: Timeouts,
}

#[derive(Clone)]
pub(super) struct Request {
    /// The name of the operation in errors.
    pub(super) operation: String,
    pub(super) method: Method,
    /// Path and query.
    pub(super) path: String,
    pub(super) body: Option<Value>,
    pub(super) token: Token,
}

/// The token of a request.
#[derive(Clone)]
pub(super) enum Token {
    /// An App's own JSON web token.
    App(Secret),
    /// An installation's token or a personal access token.
    Access(Secret),
}

impl Token {
    pub(super) fn secret(&self) -> &Secret {
        match self {
            Self::App(secret) | Self::Access(secret) => secret,
        }
    }
}

/// A successful response.
pub(super) struct Response {
    body: Vec<u8>,
    /// The time on GitHub's clock, from the header `Date`.
    pub(super) date: Option<SystemTime>,
}

impl Response {
    pub(super) fn json<T: DeserializeOwned>(&self, operation: String) -> Result<T, GithubError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| GithubError::malformed(operation, &error.to_string()))
    }
}

/// A failed attempt, and the error to return if there is no further attempt.
type Failed = (Attempt, GithubError);

impl Http {
    pub(super) fn new(endpoint: &Endpoint, timeouts: Timeouts) -> Result<Self, GithubError> {
        // Fails if the program has installed a provider already; that one serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder();
        // Plain HTTP is allowed to this machine only. A proxy would see the token in clear text.
        if endpoint.api().starts_with("http:") {
            builder = builder.no_proxy();
        }
        let client = builder
            .redirect(Policy::custom(follow_redirect))
            .user_agent(concat!("ci-cd-agents-launcher/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(timeouts.request.min(Duration::from_secs(10)))
            .timeout(timeouts.request)
            .build()
            .map_err(|error| {
                let remedy = "Install the system's CA certificates (ca-certificates), or name a bundle in SSL_CERT_FILE";
                GithubError::new(GithubErrorKind::Local, "preparing the connection to GitHub", with_sources(&error), remedy)
            })?;
        Ok(Self {
            client,
            api: endpoint.api().to_owned(),
            timeouts,
        })
    }

    /// Sends a request, repeatedly if the failure may pass.
    pub(super) async fn send(
        &self,
        request: &Request,
        scope: &Scope,
    ) -> Result<Response, GithubError> {
        let mut left = self.timeouts.rate_limit;
        let mut number = 0;
        loop {
            let (attempt, error) = match self.attempt(request, scope).await {
                Ok(response) => return Ok(response),
                Err(failed) => *failed,
            };
            let pause = match attempt.next(number, SystemTime::now()) {
                Next::Limited(pause) if pause > left => {
                    return Err(GithubError::limited(
                        &request.operation,
                        &attempt.message,
                        pause.as_secs(),
                    ));
                }
                Next::Limited(pause) => {
                    left -= pause;
                    pause
                }
                Next::Retry(pause) => pause.min(self.timeouts.request),
                Next::Fail => return Err(error),
            };
            tracing::warn!(
                ?pause,
                "{}: {}; trying again",
                error.operation,
                error.message
            );
            tokio::time::sleep(pause).await;
            number += 1;
        }
    }

    async fn attempt(&self, request: &Request, scope: &Scope) -> Result<Response, Box<Failed>> {
        let url = format!("{}{}", self.api, request.path);
        let mut builder = self
            .client
            .request(request.method.clone(), url)
            .bearer_auth(request.token.secret().expose())
            .header("accept", "application/vnd.github+json")
            .header("x-github-api-version", API_VERSION);
        if let Some(body) = &request.body {
            builder = builder.json(body);
        }
        let lost = |error| Box::new(no_response(request, &error));
        let mut response = builder.send().await.map_err(lost)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            body.extend_from_slice(&chunk);
            if body.len() > BODY_LIMIT {
                let error = GithubError::malformed(&request.operation, "it is larger than 4 MiB");
                return Err(Box::new((final_attempt(), error)));
            }
        }
        let now = SystemTime::now();
        let attempt = Attempt::read(status.as_u16(), &headers, message(status, &body), now);
        if status.is_success() {
            return Ok(Response {
                body,
                date: attempt.date,
            });
        }
        let rejection = Rejection {
            operation: &request.operation,
            status: status.as_u16(),
            message: &attempt.message,
            skew: attempt.skew(now),
            by_app: matches!(request.token, Token::App(_)),
        };
        let error = GithubError::rejected(&rejection, scope);
        Err(Box::new((attempt, error)))
    }
}

/// Follows a redirect on the same server only, because the request has a token. GitHub redirects renamed repositories.
fn follow_redirect(redirect: Redirect<'_>) -> reqwest::redirect::Action {
    let from = redirect.previous().last();
    let same_server = from.is_some_and(|from| same_origin(from, redirect.url()));
    if same_server && redirect.previous().len() <= MAX_REDIRECTS {
        redirect.follow()
    } else {
        redirect.stop()
    }
}

fn same_origin(one: &Url, other: &Url) -> bool {
    one.origin() == other.origin()
}

/// Returns an attempt that is not repeated.
fn final_attempt() -> Attempt {
    Attempt {
        status: Some(200),
        ..Attempt::default()
    }
}

/// Returns GitHub's message, with the details in `errors`.
fn message(status: StatusCode, body: &[u8]) -> String {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut message = match value["message"].as_str() {
        Some(text) => text.to_owned(),
        None => status.canonical_reason().unwrap_or("no message").to_owned(),
    };
    for error in value["errors"].as_array().into_iter().flatten() {
        let detail = error["message"]
            .as_str()
            .or(error.as_str())
            .map(str::to_owned);
        let detail = detail.unwrap_or_else(|| error.to_string());
        message = format!("{message}: {detail}");
    }
    message
        .chars()
        .filter(|c| !c.is_control())
        .take(MESSAGE_LIMIT)
        .collect()
}

/// Describes a request without a complete response.
fn no_response(request: &Request, error: &reqwest::Error) -> Failed {
    let message = with_sources(error);
    let certificate = message.contains("certificate");
    let remedy = if certificate {
        "If the server or a proxy has its own certificate authority, name a bundle with it in SSL_CERT_FILE"
    } else if error.is_timeout() {
        "Check that GitHub is reachable from here, through HTTPS_PROXY if there is a proxy; the same --id makes no second job"
    } else {
        "Check --github-url, and that no firewall, proxy (HTTPS_PROXY) or network policy blocks the connection; the same --id makes no second job"
    };
    let kind = if certificate {
        GithubErrorKind::Local
    } else {
        GithubErrorKind::Unavailable
    };
    let attempt = if certificate {
        final_attempt()
    } else {
        Attempt::default()
    };
    (
        attempt,
        GithubError::new(kind, &request.operation, message, remedy),
    )
}

/// Returns an error's message followed by those of its sources.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        message = format!("{message}: {error}");
        source = error.source();
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_origin_compares_scheme_host_and_port() {
        let url = |text: &str| Url::parse(text).unwrap();
        let api = url("https://github.example:8443/api/v3/a");
        assert!(same_origin(&api, &url("https://github.example:8443/b")));
        for other in [
            "http://github.example:8443/b",
            "https://github.example/b",
            "https://example:8443/b",
        ] {
            assert!(!same_origin(&api, &url(other)), "{other}");
        }
    }
}
