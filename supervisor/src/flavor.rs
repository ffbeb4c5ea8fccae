//! Flavors: which runner, how to start it, and how to read its end.

mod certificates;
mod circleci;
mod environment;
mod events;
mod exec;
mod github;
pub mod hook;
mod local;
mod name;
mod runner;
mod tokens;

use std::ffi::OsString;

pub use runner::{Next, Runner, Verdict};

use crate::config::{Config, FlavorName};
use crate::secrets::{SecretsError, Store};

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
    /// A secret is missing, or not what it should be. Never quotes it.
    #[error("secret {key}: {problem}")]
    Token {
        /// Its key.
        key: String,
        /// What is wrong, and the cure.
        problem: String,
    },
    /// The secrets cannot be handed over.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
}

/// The runner of this configuration; nothing is started yet.
///
/// # Errors
/// [`FlavorError`] where a setting or a secret of the flavor is missing or wrong.
pub fn prepare(
    config: &Config,
    storage: &[(OsString, OsString)],
    secrets: Store,
) -> Result<Box<dyn Runner>, FlavorError> {
    let environment = environment::build(config, storage)?;
    Ok(match config.flavor {
        FlavorName::Github => Box::new(github::Github::prepare(config, environment, secrets)?),
        FlavorName::Circleci => {
            Box::new(circleci::Circleci::prepare(config, environment, secrets)?)
        }
        FlavorName::Local => Box::new(local::prepare(config, environment, &secrets)?),
        FlavorName::Exec => Box::new(exec::prepare(config, environment, &secrets)?),
    })
}
