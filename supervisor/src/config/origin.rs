//! The source of each value, and the errors that name it.

use std::fmt;
use std::path::PathBuf;

use figment::{Figment, Source};
use serde::Serialize;

/// Prefix of the environment variables that set a key; `__` stands for the dot in it.
pub const ENV_PREFIX: &str = "SUPERVISOR_";

/// A configuration is invalid. Every message names the key, its source and the expected value.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The key is unknown, or the value has a wrong type or is impossible.
    #[error("{key} from {origin}: {problem}")]
    Value {
        /// Dotted key, for example `storage.driver`.
        key: String,
        /// The layer that set it.
        origin: Origin,
        /// The value that was found and the one that was expected.
        problem: String,
    },
    /// The configuration file is not readable or is not TOML.
    #[error("configuration file {}: {problem}", path.display())]
    File {
        /// The file that the user named.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

/// The layer that set a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub enum Origin {
    /// No layer set it.
    Default,
    /// A configuration file.
    File(String),
    /// An environment variable, by name.
    Environment(String),
    /// A command line flag, by name.
    Flag(String),
}

impl Origin {
    pub(super) fn of(figment: &Figment, key: &str) -> Self {
        let Some(metadata) = figment.find_metadata(key) else {
            return Self::Default;
        };
        if let Some(Source::File(path)) = &metadata.source {
            return Self::File(path.display().to_string());
        }
        if let Some(name) = metadata.name.strip_prefix("flag ") {
            return Self::Flag(name.to_owned());
        }
        if metadata.name.contains("environment") {
            let name = key.replace('.', "__").to_ascii_uppercase();
            return Self::Environment(format!("{ENV_PREFIX}{name}"));
        }
        Self::Default
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {path}"),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> Self {
        origin.to_string()
    }
}
