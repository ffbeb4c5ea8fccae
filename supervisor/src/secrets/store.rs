//! Staged values, in memory that is overwritten when they are dropped.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use zeroize::Zeroizing;

/// The key of a `kubernetes.io/dockerconfigjson` Secret.
pub const DOCKER_CONFIG: &str = ".dockerconfigjson";

/// One value. It shows itself to nobody and is overwritten when dropped.
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// A value that was made of others.
    #[must_use]
    pub fn new(value: String) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value, for the one place that hands it over.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.expose())
    }
}

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
