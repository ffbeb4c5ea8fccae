//! A GitHub App's own token: a JSON web token (RFC 7519), signed with its private key.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

use crate::secret::Secret;

/// How far `iat` lies in the past, in seconds. GitHub recommends this in case this clock is ahead.
const BACKDATED: u64 = 60;
/// The lifetime of a token, in seconds. GitHub allows 600 by its own clock.
const LIFETIME: u64 = 300;

/// An App that cannot sign tokens.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The text is not an RSA private key in PEM.
    #[error(
        "the App's private key cannot be used: {0}; download a .pem file from the App's settings, \"Private keys\""
    )]
    Key(String),
    /// The text is not an App's id.
    #[error("expected an App's id (digits) or client id (as in Iv23li…), found \"{0}\"")]
    Id(String),
    /// The signature failed.
    #[error("the App's token cannot be signed: {0}")]
    Sign(String),
}

/// An App, and the installation whose permissions are used.
pub struct App {
    id: String,
    key: EncodingKey,
    pub(super) installation: Option<u64>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iat: u64,
    exp: u64,
    iss: &'a str,
}

impl App {
    /// Creates an App from its id or client id and its private key (PEM). If `installation` is `None`, the installation for
    /// the repository or organisation is requested.
    ///
    /// # Errors
    /// If the id or the key is invalid.
    pub fn new(id: &str, key: &Secret, installation: Option<u64>) -> Result<Self, AppError> {
        if id.is_empty() || !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '.') {
            return Err(AppError::Id(id.to_owned()));
        }
        let key = EncodingKey::from_rsa_pem(key.expose().trim().as_bytes())
            .map_err(|error| AppError::Key(error.to_string()))?;
        Ok(Self {
            id: id.to_owned(),
            key,
            installation,
        })
    }

    /// Signs a token that is valid for five minutes from `now` on.
    pub(super) fn token(&self, now: SystemTime) -> Result<Secret, AppError> {
        let now = now
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO)
            .as_secs();
        let claims = Claims {
            iat: now.saturating_sub(BACKDATED),
            exp: now + LIFETIME,
            iss: &self.id,
        };
        super::rs256::install();
        let token = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &self.key);
        token
            .map(Secret::new)
            .map_err(|error| AppError::Sign(error.to_string()))
    }
}
