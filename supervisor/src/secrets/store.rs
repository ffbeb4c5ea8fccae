//! Staged values, in memory that is overwritten when they are dropped.

use std::collections::BTreeMap;

pub use secret::Secret;

/// The key of a `kubernetes.io/dockerconfigjson` Secret.
pub const DOCKER_CONFIG: &str = ".dockerconfigjson";

/// All staged secrets by key.
#[derive(Debug, Default)]
pub struct Store {
    pub(super) values: BTreeMap<String, Secret>,
}

impl Store {
    /// One value.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Secret> {
        self.values.get(key)
    }

    /// One value, for a keeper of its own.
    pub fn take(&mut self, key: &str) -> Option<Secret> {
        self.values.remove(key)
    }

    /// The keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// Keys and values that a workflow may name: all but the registry credentials.
    #[must_use]
    pub fn for_workflow(&self) -> BTreeMap<&str, &Secret> {
        let all = self.values.iter().map(|(key, value)| (key.as_str(), value));
        all.filter(|(key, _)| *key != DOCKER_CONFIG).collect()
    }
}
