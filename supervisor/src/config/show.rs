//! `supervisor config`: the effective values, and the layer that set each.

use figment::value::Value;
use serde::Serialize;

use super::load::Loaded;
use super::origin::Origin;

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
    use crate::config::load::Layers;
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
