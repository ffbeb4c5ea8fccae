//! Flavors: which runner, how to start it, and how to read its end.

mod exec;
mod local;

use std::ffi::{OsStr, OsString};

use crate::config::{Config, ENV_PREFIX, FlavorName};
use crate::init::reap::Ended;
use crate::init::spawn::Start;
use crate::init::terminate::Cause;
use crate::secrets::{SecretsError, Store};

/// Variables by name.
type Environment = Vec<(OsString, OsString)>;

/// Why a flavor has nothing to start.
#[derive(Debug, thiserror::Error)]
pub enum FlavorError {
    /// A setting is missing or leads nowhere.
    #[error("flavor {flavor}: {problem}")]
    Setting {
        /// The flavor.
        flavor: &'static str,
        /// What is wrong, and the cure.
        problem: String,
    },
    /// The secrets cannot be handed over.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
}

/// What the runner is to be started with.
///
/// # Errors
/// [`FlavorError`] where a setting of the flavor is missing.
pub fn start(
    config: &Config,
    storage: &[(OsString, OsString)],
    secrets: &Store,
) -> Result<Start, FlavorError> {
    let environment = environment(config, storage);
    match config.flavor {
        FlavorName::Local => local::start(config, environment, secrets),
        FlavorName::Exec => exec::start(config, environment, secrets),
    }
}

/// The code we end with after the runner ended.
#[must_use]
pub fn exit_code(config: &Config, ended: Ended, cause: Option<Cause>) -> u8 {
    match config.flavor {
        FlavorName::Local => local::exit_code(ended, cause),
        FlavorName::Exec => ended.code(),
    }
}

/// The container's environment less our own settings, with HOME and TMPDIR on the volume.
fn environment(config: &Config, storage: &[(OsString, OsString)]) -> Environment {
    let ours = |name: &OsStr| name.as_encoded_bytes().starts_with(ENV_PREFIX.as_bytes());
    let mut environment: Environment = std::env::vars_os()
        .filter(|(name, _)| !ours(name))
        .collect();
    let mut set = |name: &str, value: OsString| set(&mut environment, name, value);
    set("HOME", config.workspace.home().into());
    set("TMPDIR", config.workspace.temporary().into());
    // In memory, so that what `buildah login` writes there meets no disk.
    if config.runtime_directory.is_dir() {
        set("XDG_RUNTIME_DIR", config.runtime_directory.clone().into());
    }
    for (name, value) in storage {
        set(&name.to_string_lossy(), value.clone());
    }
    environment
}

fn set(environment: &mut Environment, name: &str, value: OsString) {
    environment.retain(|(other, _)| other != name);
    environment.push((name.into(), value));
}
