//! Staged secrets: read once, kept in memory that is zeroized, handed over without argv, log or file.

mod handover;
mod read;
pub mod stage;
mod store;

pub use handover::{ReadOnce, read_once};
pub use read::{SecretsError, look, read};
pub use store::{DOCKER_CONFIG, Secret, Store};

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::config::Config;
use crate::workspace::{Private, WorkspaceError};

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
