//! Why a flavor has nothing to start.

use crate::secrets::SecretsError;

/// Why a flavor has nothing to start.
#[derive(Debug, thiserror::Error)]
pub enum FlavorError {
    /// A setting is missing, or names a file that does not exist.
    #[error("flavor {flavor}: {problem}")]
    Setting {
        /// The flavor.
        flavor: &'static str,
        /// The fault, and its remedy.
        problem: String,
    },
    /// A secret is missing or has the wrong form. The text never quotes it.
    #[error("secret {key}: {problem}")]
    Token {
        /// Its key.
        key: String,
        /// The fault, and its remedy.
        problem: String,
    },
    /// The secrets cannot be handed over.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
}
