//! An entry of the job's own credentials, as the client hands it over.

use serde::{Deserialize, Serialize};

/// An entry of an authfile. Source: containers-auth.json(5).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthEntry {
    /// `USER:PASSWORD` in base64.
    pub auth: String,
    /// A token that takes the place of the password.
    #[serde(
        default,
        rename = "identitytoken",
        skip_serializing_if = "Option::is_none"
    )]
    pub identity_token: Option<String>,
}

impl std::fmt::Debug for AuthEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}
