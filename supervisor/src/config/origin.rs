//! The source of each value: the layer that set it. `supervisor config` prints it.

use std::fmt;

use figment::value::Value;
use figment::{Figment, Source};
use serde::Serialize;

use super::{ENV_PREFIX, Loaded};

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

/// One line of `supervisor config`.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The dotted key.
    pub key: String,
    /// The effective value, masked if it may contain a secret.
    pub value: serde_json::Value,
    /// The layer that set it.
    pub origin: Origin,
}

impl Loaded {
    /// Returns every key with its value and origin, sorted by key.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        let tree = Value::serialize(&self.config).unwrap_or_else(|_| Value::from(""));
        self.collect("", &tree, &mut rows);
        rows
    }

    fn collect(&self, key: &str, value: &Value, rows: &mut Vec<Row>) {
        match value {
            Value::Dict(_, dict) if !dict.is_empty() => {
                for (name, inner) in dict {
                    let dot = if key.is_empty() { "" } else { "." };
                    self.collect(&format!("{key}{dot}{name}"), inner, rows);
                }
            }
            _ => rows.push(Row {
                value: masked(key, serde_json::to_value(value).unwrap_or_default()),
                origin: Origin::of(&self.figment, key),
                key: key.to_owned(),
            }),
        }
    }
}

/// Masks the runner's arguments and variables, because a user may have put a secret there. The program's name stays.
fn masked(key: &str, value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::String(_) if key.starts_with("runner.env.") => "***".into(),
        serde_json::Value::Array(items) if key == "exec.command" && items.len() > 1 => {
            let hidden = format!("*** ({} more)", items.len() - 1);
            let mut shown: Vec<_> = items.into_iter().take(1).collect();
            shown.push(hidden.into());
            shown.into()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Layers;
    use figment::Jail;

    #[test]
    #[allow(clippy::result_large_err, reason = "figment's own signature")]
    fn rows_have_origins_and_masked_arguments() {
        Jail::expect_with(|jail| {
            jail.create_file(
                "c.toml",
                "[exec]\ncommand = ['curl', 'token=hunter2']\n[runner.env]\nA = 'hunter2'\n",
            )?;
            jail.set_env("SUPERVISOR_WIPE__RESERVE", "5s");
            let file = Some("c.toml".into());
            let loaded = Layers {
                file,
                flags: vec![],
            }
            .load()
            .unwrap();
            let rows = serde_json::to_string(&loaded.rows()).unwrap();
            assert!(
                rows.contains("environment variable SUPERVISOR_WIPE__RESERVE"),
                "{rows}"
            );
            assert!(rows.contains("c.toml"), "{rows}");
            assert!(rows.contains("curl") && !rows.contains("hunter2"), "{rows}");
            assert!(rows.contains(r#"{"key":"storage.driver","value":"auto","origin":"default"}"#));
            Ok(())
        });
    }
}
