//! Reads `config.json` and `auth.json`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::entry::{Entries, Entry, normal_key};
use super::helper::{Helper, HelperError};

/// One configuration.
#[derive(Debug, Default)]
pub(super) struct Config {
    auths: Vec<(String, Entry)>,
    helpers: BTreeMap<String, String>,
    store: Option<String>,
    /// The directory with the helpers, in tests. Otherwise they are found in PATH.
    programs: Option<String>,
}

impl Config {
    /// Parses a configuration. A text with another form has no entries.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let object = |key: &str| value[key].as_object().into_iter().flatten();
        let auths = object("auths").filter_map(|(key, value)| {
            Entry::read(value).map(|entry| (normal_key(key).to_owned(), entry))
        });
        let helpers = object("credHelpers").filter_map(|(key, name)| {
            let name = name.as_str().filter(|name| is_name(name))?;
            Some((normal_key(key).to_owned(), name.to_owned()))
        });
        let store = value["credsStore"].as_str().filter(|name| is_name(name));
        Some(Self {
            auths: auths.collect(),
            helpers: helpers.collect(),
            store: store.map(str::to_owned),
            programs: None,
        })
    }

    #[cfg(test)]
    pub(super) fn with_programs(mut self, directory: &str) -> Self {
        self.programs = Some(directory.to_owned());
        self
    }

    /// Returns the helper that keeps the credentials of a registry.
    pub(super) fn helper(&self, registry: &str) -> Option<Helper> {
        let name = self.helpers.get(registry).or(self.store.as_ref())?;
        Some(Helper::new(name, self.programs.as_deref()))
    }

    /// Returns whether the registry has a helper of its own.
    pub(super) fn is_named(&self, registry: &str) -> bool {
        self.helpers.contains_key(registry)
    }

    /// Returns the entries for a registry. A helper comes first, as with Docker.
    ///
    /// # Errors
    /// [`HelperError`] if the registry's own helper fails. A common store that fails has no entry, because a configuration
    /// often comes from a machine with other programs.
    pub(super) fn entries(&self, registry: &str) -> Result<Entries, HelperError> {
        if let Some(helper) = self.helper(registry) {
            match helper.get(registry) {
                Ok(Some(entry)) => return Ok(Entries::from([(registry.to_owned(), entry)])),
                Ok(None) => {}
                Err(error) if self.is_named(registry) => return Err(error),
                Err(error) => eprintln!("{error}; the command has no credentials of this store"),
            }
        }
        let of_registry = self.auths.iter().filter(|(key, _)| {
            let host = key.split_once('/').map_or(key.as_str(), |(host, _)| host);
            host == registry
        });
        Ok(of_registry.cloned().collect())
    }
}

/// Returns whether a text can be the end of a program's name. It is no path.
fn is_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !name.is_empty() && name.bytes().all(letter)
}
