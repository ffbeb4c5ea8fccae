//! Entries of an authfile, and the names of registries in configurations.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// Entries by registry, or by registry and repository.
pub type Entries = BTreeMap<String, Entry>;

/// An entry of an authfile.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// `USER:PASSWORD` in base64.
    pub auth: String,
    /// A token that takes the place of the password.
    pub identity_token: Option<String>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl Entry {
    /// Creates an entry with a password, or with a token if the user is `<token>`, as credential helpers write it.
    pub(crate) fn new(user: &str, secret: &str) -> Self {
        if user == "<token>" {
            return Self {
                auth: STANDARD.encode(format!("{user}:")),
                identity_token: Some(secret.to_owned()),
            };
        }
        Self {
            auth: STANDARD.encode(format!("{user}:{secret}")),
            identity_token: None,
        }
    }

    /// Reads an entry of a configuration. An entry without credentials marks a login in a credential store.
    pub(super) fn read(value: &Value) -> Option<Self> {
        let text = |key: &str| value[key].as_str().filter(|text| !text.is_empty());
        let token = text("identitytoken").map(str::to_owned);
        let auth = match (text("auth"), text("username")) {
            (Some(auth), _) => auth.to_owned(),
            (None, Some(user)) => Self::new(user, text("password").unwrap_or_default()).auth,
            (None, None) => STANDARD.encode(token.as_ref().map(|_| "<token>:")?),
        };
        Some(Self {
            auth,
            identity_token: token,
        })
    }
}

/// Returns the registry of a key or a server's address, with the path behind it. Docker writes some keys as addresses.
pub(super) fn normal_key(key: &str) -> &str {
    let key = key.strip_prefix("https://").unwrap_or(key);
    let key = key.strip_prefix("http://").unwrap_or(key);
    let key = key.trim_end_matches('/');
    let key = key.strip_suffix("/v1").unwrap_or(key);
    let key = key.strip_suffix("/v2").unwrap_or(key);
    match key.split_once('/') {
        None => image_ref::hub(key),
        Some(_) => key,
    }
}

/// Returns the name of a registry as Docker writes it into configurations and sends it to helpers.
pub(super) fn server(registry: &str) -> &str {
    match registry {
        "docker.io" => "https://index.docker.io/v1/",
        registry => registry,
    }
}
