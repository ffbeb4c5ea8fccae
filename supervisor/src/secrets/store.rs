//! The values of staged secrets, in memory that is overwritten when they are dropped.

use std::collections::BTreeMap;

pub(crate) use secret::Secret;

/// The key of a `kubernetes.io/dockerconfigjson` Secret.
pub(crate) const DOCKER_CONFIG: &str = ".dockerconfigjson";

/// All staged secrets by key.
#[derive(Debug, Default)]
pub(crate) struct Store {
    pub(super) values: BTreeMap<String, Secret>,
}

impl Store {
    /// Returns the value of a key.
    #[must_use]
    pub(crate) fn get(&self, key: &str) -> Option<&Secret> {
        self.values.get(key)
    }

    /// Removes a key and returns its value.
    pub(crate) fn remove(&mut self, key: &str) -> Option<Secret> {
        self.values.remove(key)
    }

    /// Returns the keys and values that a workflow may name: all except the registry credentials.
    #[must_use]
    pub(crate) fn for_workflow(&self) -> BTreeMap<&str, &Secret> {
        let all = self.values.iter().map(|(key, value)| (key.as_str(), value));
        all.filter(|(key, _)| *key != DOCKER_CONFIG).collect()
    }
}
