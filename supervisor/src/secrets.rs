//! Staged secrets: read once, kept in memory that is zeroized, handed over without argv, log or file.

mod handover;
mod read;
pub mod stage;

pub use handover::{ReadOnce, read_once};
pub use read::{SecretsError, look, read};

use std::collections::BTreeMap;
use std::fmt;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::config::Config;
use crate::workspace::{Private, WorkspaceError};

/// The key of a `kubernetes.io/dockerconfigjson` Secret.
pub const DOCKER_CONFIG: &str = ".dockerconfigjson";

/// The private file that is there once a job has its secrets: whoever looks for their staged files then finds none.
const TAKEN: &str = "secrets-taken";

/// Leaves word that the staged secrets were taken in. Only the doctor asks: no job fails for it.
pub fn note_taken(private: &Private) {
    if let Err(error) = private.file(TAKEN, b"") {
        tracing::debug!(%error, "the doctor will miss the staged secrets");
    }
}

/// Whether a job that runs here has taken them in.
#[must_use]
pub fn are_taken(config: &Config) -> bool {
    config.runtime_directory.join(TAKEN).exists()
}

/// One value. It shows itself to nobody and is overwritten when dropped.
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// A value that was made of others.
    #[must_use]
    pub fn new(value: String) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value, for the one place that hands it over.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.expose())
    }
}

/// All staged secrets by key.
#[derive(Debug, Default)]
pub struct Store {
    values: BTreeMap<String, Secret>,
}

impl Store {
    /// One value.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Secret> {
        self.values.get(key)
    }

    /// One value, for a keeper of its own.
    pub fn take(&mut self, key: &str) -> Option<Secret> {
        self.values.remove(key)
    }

    /// The keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// Keys and values that a workflow may name: all but the registry credentials.
    #[must_use]
    pub fn for_workflow(&self) -> BTreeMap<&str, &Secret> {
        let all = self.values.iter().map(|(key, value)| (key.as_str(), value));
        all.filter(|(key, _)| *key != DOCKER_CONFIG).collect()
    }
}

/// What is looked at in a `.dockerconfigjson`; values stay where they are.
#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, IgnoredAny>,
}

/// Writes the registry credentials, if there are any, where Buildah looks for them.
///
/// # Errors
/// [`SecretsError`] where they are not a docker configuration, or the file cannot be written.
pub fn write_authfile(
    store: &Store,
    private: &Private,
) -> Result<Option<std::path::PathBuf>, SecretsError> {
    let Some(secret) = store.get(DOCKER_CONFIG) else {
        return Ok(None);
    };
    let registries = registries(secret)?;
    tracing::info!(registries, "registry credentials");
    let written = private.file("containers/auth.json", secret.expose().as_bytes());
    written.map(Some).map_err(SecretsError::from)
}

/// How many registries a `.dockerconfigjson` knows.
fn registries(secret: &Secret) -> Result<usize, SecretsError> {
    // serde_json's message would quote the content.
    let parsed: DockerConfig =
        serde_json::from_str(secret.expose()).map_err(|error| SecretsError::NotDockerConfig {
            line: error.line(),
            column: error.column(),
        })?;
    Ok(parsed.auths.len())
}

impl From<WorkspaceError> for SecretsError {
    fn from(error: WorkspaceError) -> Self {
        Self::Private(error)
    }
}
