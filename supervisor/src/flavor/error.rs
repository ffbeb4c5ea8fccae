//! Why a flavor has nothing to start.

use crate::secrets::SecretsError;

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
