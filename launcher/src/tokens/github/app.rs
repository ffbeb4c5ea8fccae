//! A GitHub App's own token: a JSON web token, signed with its private key.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

use crate::secret::Secret;

/// As GitHub asks: so that a clock a little ahead signs nothing in the future.
const BACKDATED: u64 = 60;
/// GitHub takes ten minutes at most, by its own clock.
const VALID: u64 = 300;

/// Why an App cannot sign.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Not a private key.
    #[error(
        "the App's private key cannot be used ({0}): it is the .pem file that GitHub gives once, from the App's settings, \"Private keys\""
    )]
    Key(String),
    /// Not an App's id.
    #[error("\"{0}\" is neither an App's id (digits) nor its client id (as in Iv23li…)")]
    Id(String),
    /// The signature.
    #[error("the App's token cannot be signed: {0}")]
    Sign(String),
}

/// An App, and the installation whose rights are used.
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
    /// An App by its id or client id and its private key (PEM). Without an installation, the one of the repository or
    /// organisation is asked for.
    ///
    /// # Errors
    /// Where the key or the id cannot be one.
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

    /// A token that is good for five minutes from this time on.
    ///
    /// # Errors
    /// Where the key does not sign.
    pub(super) fn token(&self, now: SystemTime) -> Result<Secret, AppError> {
        let now = now
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO)
            .as_secs();
        let claims = Claims {
            iat: now.saturating_sub(BACKDATED),
            exp: now + VALID,
            iss: &self.id,
        };
        super::rs256::install();
        let token = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &self.key);
        token
            .map(Secret::new)
            .map_err(|error| AppError::Sign(error.to_string()))
    }
}
