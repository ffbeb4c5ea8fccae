//! The token that requests carry: a person's, or an installation's, asked for anew before its time is over.

use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::app::App;
use super::endpoint::Scope;
use super::error::{Cause, GithubError};
use super::http::{Answer, Http, Request, Token};
use crate::secret::Secret;

/// What is left of an installation's hour when another token is asked for.
const MARGIN: Duration = Duration::from_secs(300);
/// GitHub's tokens of installations are good for an hour.
const LIFETIME: Duration = Duration::from_secs(3600);

/// Who registers runners.
pub enum Credential {
    /// A personal access token, fine-grained or classic.
    Token(Secret),
    /// A GitHub App.
    App(App),
}

pub(super) struct Tokens {
    credential: Credential,
    scope: Scope,
    cached: Mutex<Option<Cached>>,
}

struct Cached {
    token: Secret,
    until: Instant,
}

impl Tokens {
    pub(super) fn new(credential: Credential, scope: Scope) -> Self {
        Self {
            credential,
            scope,
            cached: Mutex::new(None),
        }
    }

    /// Whether another token can be had.
    pub(super) fn renews(&self) -> bool {
        matches!(self.credential, Credential::App(_))
    }

    /// A token that is good for some minutes yet. Many who ask at once cause one request.
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
        let fresh = self.ask(http, app).await?;
        let token = Token::Access(fresh.token.clone());
        *cached = Some(fresh);
        Ok(token)
    }

    /// Drops a token that GitHub refused.
    pub(super) async fn forget(&self, refused: &Token) {
        let mut cached = self.cached.lock().await;
        if cached
            .as_ref()
            .is_some_and(|cached| cached.token == *refused.secret())
        {
            *cached = None;
        }
    }

    async fn ask(&self, http: &Http, app: &App) -> Result<Cached, GithubError> {
        #[derive(Deserialize)]
        struct Installation {
            token: String,
            expires_at: String,
        }
        let what = || format!("asking for a token for {}", self.scope.described());
        let (permissions, repositories) = self.rights(&what())?;
        let installation = match app.installation {
            Some(installation) => installation,
            None => self.installation(http, app).await?,
        };
        let mut body = json!({ "permissions": permissions });
        if let Some(repository) = repositories {
            body["repositories"] = json!([repository]);
        }
        let path = format!("/app/installations/{installation}/access_tokens");
        let answer = self
            .as_app(http, app, what(), Method::POST, path, Some(body))
            .await?;
        let read: Installation = answer.json(what())?;
        let lifetime = lifetime(&read.expires_at, answer.date);
        Ok(Cached {
            token: Secret::new(read.token),
            until: Instant::now() + lifetime.saturating_sub(MARGIN),
        })
    }

    /// The installation's id, where none was given.
    async fn installation(&self, http: &Http, app: &App) -> Result<u64, GithubError> {
        #[derive(Deserialize)]
        struct Installation {
            id: u64,
        }
        let what = format!(
            "looking for the App's installation for {}",
            self.scope.described()
        );
        let path = format!("{}/installation", self.scope.root());
        let answer = self
            .as_app(http, app, what.clone(), Method::GET, path, None)
            .await?;
        Ok(answer.json::<Installation>(what)?.id)
    }

    /// No more than the scope needs.
    fn rights(&self, what: &str) -> Result<(Value, Option<&str>), GithubError> {
        match &self.scope {
            Scope::Repository { name, .. } => {
                Ok((json!({"administration": "write"}), Some(name.as_str())))
            }
            Scope::Organisation(_) => {
                Ok((json!({"organization_self_hosted_runners": "write"}), None))
            }
            Scope::Enterprise(_) => Err(GithubError::new(
                Cause::Local,
                what,
                "GitHub lets no App register an enterprise's runners",
                "Take a classic token with the scope \"manage_runners:enterprise\", or --org with the App",
            )),
        }
    }

    /// As the App itself. Where the clocks differ, once more by GitHub's.
    async fn as_app(
        &self,
        http: &Http,
        app: &App,
        what: String,
        method: Method,
        path: String,
        body: Option<Value>,
    ) -> Result<Answer, GithubError> {
        let signed = |time| {
            let token = app.token(time).map_err(|error| {
                let cure = "See the App's settings, \"Private keys\"";
                GithubError::new(Cause::Local, what.clone(), error.to_string(), cure)
            });
            token.map(|token| Request {
                what: what.clone(),
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
        match (error.cause, shifted) {
            (Cause::Unauthorized, Some(theirs)) => {
                let second = http.send(&signed(theirs)?, &self.scope).await;
                if second.is_ok() {
                    tracing::warn!(
                        seconds = error.skew,
                        "GitHub's clock is ahead of this machine's by so much: set it"
                    );
                }
                // What was said first names the clock.
                second.map_err(|_| error)
            }
            _ => Err(error),
        }
    }
}

/// GitHub's time, where it differs enough to matter.
fn shift(now: SystemTime, skew: i64) -> Option<SystemTime> {
    let seconds = Duration::from_secs(skew.unsigned_abs());
    match skew {
        ..=-5 => now.checked_sub(seconds),
        5.. => now.checked_add(seconds),
        _ => None,
    }
}

/// How long a token is good for, by GitHub's clock alone.
fn lifetime(expires_at: &str, date: Option<SystemTime>) -> Duration {
    let expires = expires_at.parse::<Timestamp>().ok().map(SystemTime::from);
    let left = expires
        .zip(date)
        .and_then(|(expires, date)| expires.duration_since(date).ok());
    left.unwrap_or(LIFETIME).min(LIFETIME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_told_by_githubs_clock() {
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
    fn small_differences_are_no_reason() {
        let now = SystemTime::now();
        assert_eq!(shift(now, 4), None);
        assert_eq!(shift(now, 90), now.checked_add(Duration::from_secs(90)));
        assert_eq!(shift(now, -90), now.checked_sub(Duration::from_secs(90)));
    }
}
