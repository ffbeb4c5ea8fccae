//! The token of requests: a personal access token, or an installation's, which is renewed before it expires.

use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::app::App;
use super::endpoint::Scope;
use super::error::GithubError;
use super::http::{Http, Request, Response, Token};
use super::rejection::GithubErrorKind;
use crate::secret::Secret;

/// How long before its expiry an installation's token is renewed.
const RENEWAL_MARGIN: Duration = Duration::from_secs(300);
/// The lifetime of an installation's token.
const LIFETIME: Duration = Duration::from_secs(3600);

/// The long-lived credential for GitHub.
pub enum Credential {
    /// A personal access token, fine-grained or classic.
    Token(Secret),
    /// A GitHub App, by its private key.
    App(App),
}

/// Issues the tokens of requests, and keeps an installation's token until it expires.
pub(super) struct TokenCache {
    credential: Credential,
    scope: Scope,
    cached: Mutex<Option<Cached>>,
}

struct Cached {
    token: Secret,
    until: Instant,
}

impl TokenCache {
    pub(super) fn new(credential: Credential, scope: Scope) -> Self {
        Self {
            credential,
            scope,
            cached: Mutex::new(None),
        }
    }

    /// Returns whether a rejected token can be replaced.
    pub(super) fn can_renew(&self) -> bool {
        matches!(self.credential, Credential::App(_))
    }

    /// Returns a token that is valid for some minutes more. Concurrent calls cause one request.
    pub(super) async fn get(&self, http: &Http) -> Result<Token, GithubError> {
        let app = match &self.credential {
            Credential::Token(token) => return Ok(Token::Access(token.clone())),
            Credential::App(app) => app,
        };
        let mut cached = self.cached.lock().await;
        if let Some(cached) = cached
            .as_ref()
            .filter(|cached| cached.until > Instant::now())
        {
            return Ok(Token::Access(cached.token.clone()));
        }
        let fresh = self.request_token(http, app).await?;
        let token = Token::Access(fresh.token.clone());
        *cached = Some(fresh);
        Ok(token)
    }

    /// Drops a token that GitHub rejected.
    pub(super) async fn invalidate(&self, rejected: &Token) {
        let mut cached = self.cached.lock().await;
        if cached
            .as_ref()
            .is_some_and(|cached| cached.token == *rejected.secret())
        {
            *cached = None;
        }
    }

    async fn request_token(&self, http: &Http, app: &App) -> Result<Cached, GithubError> {
        #[derive(Deserialize)]
        struct Installation {
            token: String,
            expires_at: String,
        }
        let operation = || format!("requesting a token for {}", self.scope.description());
        let (permissions, repositories) = self.permissions(&operation())?;
        let installation = match app.installation {
            Some(installation) => installation,
            None => self.installation(http, app).await?,
        };
        let mut body = json!({ "permissions": permissions });
        if let Some(repository) = repositories {
            body["repositories"] = json!([repository]);
        }
        let path = format!("/app/installations/{installation}/access_tokens");
        let response = self
            .as_app(http, app, operation(), Method::POST, path, Some(body))
            .await?;
        let read: Installation = response.json(operation())?;
        let lifetime = lifetime(&read.expires_at, response.date);
        Ok(Cached {
            token: Secret::new(read.token),
            until: Instant::now() + lifetime.saturating_sub(RENEWAL_MARGIN),
        })
    }

    /// Requests the id of the App's installation for the scope.
    async fn installation(&self, http: &Http, app: &App) -> Result<u64, GithubError> {
        #[derive(Deserialize)]
        struct Installation {
            id: u64,
        }
        let operation = format!(
            "looking for the App's installation for {}",
            self.scope.description()
        );
        let path = format!("{}/installation", self.scope.root());
        let response = self
            .as_app(http, app, operation.clone(), Method::GET, path, None)
            .await?;
        Ok(response.json::<Installation>(operation)?.id)
    }

    /// Returns the permissions to request, and the repository to limit the token to.
    fn permissions(&self, operation: &str) -> Result<(Value, Option<&str>), GithubError> {
        match &self.scope {
            Scope::Repository { name, .. } => {
                Ok((json!({"administration": "write"}), Some(name.as_str())))
            }
            Scope::Organisation(_) => {
                Ok((json!({"organization_self_hosted_runners": "write"}), None))
            }
            Scope::Enterprise(_) => Err(GithubError::new(
                GithubErrorKind::Local,
                operation,
                "GitHub does not let Apps register an enterprise's runners",
                "Use a classic token with the scope \"manage_runners:enterprise\", or use --org with the App",
            )),
        }
    }

    /// Sends a request with the App's own token. If GitHub rejects it because the clocks differ, sends it once more with
    /// GitHub's time.
    async fn as_app(
        &self,
        http: &Http,
        app: &App,
        operation: String,
        method: Method,
        path: String,
        body: Option<Value>,
    ) -> Result<Response, GithubError> {
        let signed = |time| {
            let token = app.token(time).map_err(|error| {
                let remedy = "Download a new key from the App's settings, \"Private keys\"";
                GithubError::new(
                    GithubErrorKind::Local,
                    operation.clone(),
                    error.to_string(),
                    remedy,
                )
            });
            token.map(|token| Request {
                operation: operation.clone(),
                method: method.clone(),
                path: path.clone(),
                body: body.clone(),
                token: Token::App(token),
            })
        };
        let first = http.send(&signed(SystemTime::now())?, &self.scope).await;
        let Err(error) = first else {
            return first;
        };
        let shifted = error.skew.and_then(|skew| shift(SystemTime::now(), skew));
        match (error.kind, shifted) {
            (GithubErrorKind::Unauthorized, Some(githubs_time)) => {
                let second = http.send(&signed(githubs_time)?, &self.scope).await;
                if second.is_ok() {
                    tracing::warn!(
                        seconds = error.skew,
                        "this machine's clock differs from GitHub's by so many seconds: set it (timedatectl set-ntp true)"
                    );
                }
                // The first error has the remedy for the clock.
                second.map_err(|_| error)
            }
            _ => Err(error),
        }
    }
}

/// Returns the time on GitHub's clock, if it differs by five seconds or more.
fn shift(now: SystemTime, skew: i64) -> Option<SystemTime> {
    let seconds = Duration::from_secs(skew.unsigned_abs());
    match skew {
        ..=-5 => now.checked_sub(seconds),
        5.. => now.checked_add(seconds),
        _ => None,
    }
}

/// Returns how long a token is valid. Expiry and date are both on GitHub's clock.
fn lifetime(expires_at: &str, date: Option<SystemTime>) -> Duration {
    let expires = expires_at.parse::<Timestamp>().ok().map(SystemTime::from);
    let remaining = expires
        .zip(date)
        .and_then(|(expires, date)| expires.duration_since(date).ok());
    remaining.unwrap_or(LIFETIME).min(LIFETIME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetime_is_measured_on_githubs_clock() {
        let date = "2027-01-15T08:00:00Z".parse::<Timestamp>();
        let date = date.map(SystemTime::from).ok();
        assert_eq!(
            lifetime("2027-01-15T08:10:00Z", date),
            Duration::from_secs(600)
        );
        assert_eq!(lifetime("2027-01-15T10:10:00Z", date), LIFETIME);
        assert_eq!(lifetime("soon", date), LIFETIME);
        assert_eq!(lifetime("2027-01-15T08:10:00Z", None), LIFETIME);
    }

    #[test]
    fn small_clock_differences_are_ignored() {
        let now = SystemTime::now();
        assert_eq!(shift(now, 4), None);
        assert_eq!(shift(now, 90), now.checked_add(Duration::from_secs(90)));
        assert_eq!(shift(now, -90), now.checked_sub(Duration::from_secs(90)));
    }
}
