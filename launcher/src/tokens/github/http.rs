//! One request to GitHub, with the patience that its limits and the network need.

use std::time::{Duration, SystemTime};

use reqwest::redirect::{Attempt as Redirect, Policy};
use reqwest::{Client, Method, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::endpoint::{Scope, Site};
use super::error::{Cause, GithubError, Refusal};
use super::rate_limit::{Attempt, Next};
use crate::secret::Secret;

/// GitHub's version of its API that all this is written for.
const API_VERSION: &str = "2022-11-28";
/// No answer of GitHub's that is read here comes near it.
const BODY_LIMIT: usize = 4 << 20;
/// How much of GitHub's words is told.
const SAID_LIMIT: usize = 300;

/// So many redirects are followed.
const REDIRECTS: usize = 5;

/// How long to wait.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For the answer to one request.
    pub answer: Duration,
    /// For a rate limit to pass, in all.
    pub limit: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(30),
            limit: Duration::from_secs(300),
        }
    }
}

pub(super) struct Http {
    client: Client,
    api: String,
    patience: Patience,
}

#[derive(Clone)]
pub(super) struct Request {
    /// As an error has it.
    pub(super) what: String,
    pub(super) method: Method,
    /// Path and query.
    pub(super) path: String,
    pub(super) body: Option<Value>,
    pub(super) token: Token,
}

/// Who asks.
#[derive(Clone)]
pub(super) enum Token {
    /// An App as such.
    App(Secret),
    /// An installation or a person.
    Access(Secret),
}

impl Token {
    pub(super) fn secret(&self) -> &Secret {
        match self {
            Self::App(secret) | Self::Access(secret) => secret,
        }
    }
}

/// A success.
pub(super) struct Answer {
    body: Vec<u8>,
    /// GitHub's clock.
    pub(super) date: Option<SystemTime>,
}

impl Answer {
    pub(super) fn json<T: DeserializeOwned>(&self, what: String) -> Result<T, GithubError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| GithubError::malformed(what, &error.to_string()))
    }
}

/// An attempt that failed, and as what it is told in the end.
type Failed = (Attempt, GithubError);

impl Http {
    pub(super) fn new(site: &Site, patience: Patience) -> Result<Self, GithubError> {
        // Fails where there is one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut building = Client::builder();
        // Only this machine is asked without TLS. A proxy would have the token in clear.
        if site.api().starts_with("http:") {
            building = building.no_proxy();
        }
        let client = building
            .redirect(Policy::custom(redirected))
            .user_agent(concat!("ci-cd-agents-launcher/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(patience.answer.min(Duration::from_secs(10)))
            .timeout(patience.answer)
            .build()
            .map_err(|error| {
                let cure = "The system's certificates are read from where OpenSSL keeps them, or from SSL_CERT_FILE";
                GithubError::new(Cause::Local, "preparing to talk to GitHub", chain(&error), cure)
            })?;
        Ok(Self {
            client,
            api: site.api().to_owned(),
            patience,
        })
    }

    /// Sends a request until it is answered for good.
    pub(super) async fn send(
        &self,
        request: &Request,
        scope: &Scope,
    ) -> Result<Answer, GithubError> {
        let mut left = self.patience.limit;
        let mut number = 0;
        loop {
            let (attempt, error) = match self.attempt(request, scope).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => *failed,
            };
            let pause = match attempt.next(number, SystemTime::now()) {
                Next::Limited(pause) if pause > left => {
                    return Err(GithubError::limited(
                        &request.what,
                        &attempt.said,
                        pause.as_secs(),
                    ));
                }
                Next::Limited(pause) => {
                    left -= pause;
                    pause
                }
                Next::Again(pause) => pause.min(self.patience.answer),
                Next::Fail => return Err(error),
            };
            tracing::warn!(?pause, "{}: {}; asking again", error.what, error.said);
            tokio::time::sleep(pause).await;
            number += 1;
        }
    }

    async fn attempt(&self, request: &Request, scope: &Scope) -> Result<Answer, Box<Failed>> {
        let url = format!("{}{}", self.api, request.path);
        let mut building = self
            .client
            .request(request.method.clone(), url)
            .bearer_auth(request.token.secret().expose())
            .header("accept", "application/vnd.github+json")
            .header("x-github-api-version", API_VERSION);
        if let Some(body) = &request.body {
            building = building.json(body);
        }
        let lost = |error| Box::new(unanswered(request, &error));
        let mut response = building.send().await.map_err(lost)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            body.extend_from_slice(&chunk);
            if body.len() > BODY_LIMIT {
                let error = GithubError::malformed(&request.what, "it is larger than 4 MiB");
                return Err(Box::new((refused_attempt(), error)));
            }
        }
        let now = SystemTime::now();
        let attempt = Attempt::read(status.as_u16(), &headers, words(status, &body), now);
        if status.is_success() {
            return Ok(Answer {
                body,
                date: attempt.date,
            });
        }
        let refusal = Refusal {
            what: &request.what,
            status: status.as_u16(),
            said: &attempt.said,
            skew: attempt.skew(now),
            by_app: matches!(request.token, Token::App(_)),
        };
        let error = GithubError::refused(&refusal, scope);
        Err(Box::new((attempt, error)))
    }
}

/// GitHub redirects to a repository's new name. A request with a token in it goes nowhere else.
fn redirected(redirect: Redirect<'_>) -> reqwest::redirect::Action {
    let from = redirect.previous().last();
    let stays = from.is_some_and(|from| same_origin(from, redirect.url()));
    if stays && redirect.previous().len() <= REDIRECTS {
        redirect.follow()
    } else {
        redirect.stop()
    }
}

fn same_origin(one: &Url, other: &Url) -> bool {
    one.origin() == other.origin()
}

/// One that is not tried again.
fn refused_attempt() -> Attempt {
    Attempt {
        status: Some(200),
        ..Attempt::default()
    }
}

/// GitHub's own words, its errors included.
fn words(status: StatusCode, body: &[u8]) -> String {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut said = match value["message"].as_str() {
        Some(message) => message.to_owned(),
        None => status.canonical_reason().unwrap_or("no reason").to_owned(),
    };
    for error in value["errors"].as_array().into_iter().flatten() {
        let detail = error["message"]
            .as_str()
            .or(error.as_str())
            .map(str::to_owned);
        let detail = detail.unwrap_or_else(|| error.to_string());
        said = format!("{said}: {detail}");
    }
    said.chars()
        .filter(|c| !c.is_control())
        .take(SAID_LIMIT)
        .collect()
}

/// No answer, or half of one.
fn unanswered(request: &Request, error: &reqwest::Error) -> Failed {
    let said = chain(error);
    let certificate = said.contains("certificate");
    let cure = if certificate {
        "A server or proxy with a certificate authority of its own: name its bundle in SSL_CERT_FILE"
    } else if error.is_timeout() {
        "Is it reachable from here, through HTTPS_PROXY where there is a proxy? The same --id makes no second job"
    } else {
        "Does --github-url name it, and does a firewall, proxy (HTTPS_PROXY) or network policy let this machine there? The same --id makes no second job"
    };
    let cause = if certificate {
        Cause::Local
    } else {
        Cause::Unavailable
    };
    let attempt = if certificate {
        refused_attempt()
    } else {
        Attempt::default()
    };
    (attempt, GithubError::new(cause, &request.what, said, cure))
}

/// An error with all that is beneath it, without the address, which is in the first alone.
fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut beneath = error.source();
    while let Some(error) = beneath {
        said = format!("{said}: {error}");
        beneath = error.source();
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_stays_with_its_host_port_and_scheme() {
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
