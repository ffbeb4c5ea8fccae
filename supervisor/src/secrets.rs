//! Staged secrets: read once, kept in memory that is zeroized, and passed on without command line, log or disk.

mod pipe_secret;
mod read;
pub mod stage;
mod store;

pub(crate) use pipe_secret::pipe_secret;
pub(crate) use read::{SecretsError, peek, read};
pub(crate) use store::{DOCKER_CONFIG, Secret, Store};

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::workspace::{RuntimeDir, WorkspaceError};

/// A file in the runtime directory that exists as soon as a job has its secrets. Then their staged files are gone.
const TAKEN: &str = "secrets-taken";

/// Marks the staged secrets as taken by a job. Only the doctor reads the mark, so a failure does not end the job.
pub(crate) fn mark_taken(runtime: &RuntimeDir) {
    if let Err(error) = runtime.file(TAKEN, b"") {
        tracing::debug!(%error, "the doctor will report the staged secrets as missing");
    }
}

/// Whether a job in this container has taken the staged secrets.
pub(crate) fn are_taken(runtime: &RuntimeDir) -> bool {
    runtime.path(TAKEN).exists()
}

/// The part of a `.dockerconfigjson` that is parsed. Values are skipped.
#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, IgnoredAny>,
}

/// Writes the registry credentials as Buildah's authfile and returns its path. Returns `None` if there are no credentials.
///
/// # Errors
/// [`SecretsError`] if the credentials are not a docker configuration, or the file cannot be written.
pub(crate) fn write_authfile(
    store: &Store,
    runtime: &RuntimeDir,
) -> Result<Option<std::path::PathBuf>, SecretsError> {
    let Some(secret) = store.get(DOCKER_CONFIG) else {
        return Ok(None);
    };
    let registries = registries(secret)?;
    tracing::info!(registries, "registry credentials");
    let written = runtime.file("containers/auth.json", secret.expose().as_bytes());
    written.map(Some).map_err(SecretsError::from)
}

/// Counts the registries in a `.dockerconfigjson`.
fn registries(secret: &Secret) -> Result<usize, SecretsError> {
    // serde_json's own message would quote the secret.
    let parsed: DockerConfig =
        serde_json::from_str(secret.expose()).map_err(|error| SecretsError::NotDockerConfig {
            line: error.line(),
            column: error.column(),
        })?;
    Ok(parsed.auths.len())
}

impl From<WorkspaceError> for SecretsError {
    fn from(error: WorkspaceError) -> Self {
        Self::RuntimeDir(error)
    }
}
