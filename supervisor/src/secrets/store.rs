//! The values of staged secrets, in memory that is overwritten when they are dropped.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use zeroize::Zeroizing;

/// The key of a `kubernetes.io/dockerconfigjson` Secret.
pub(crate) const DOCKER_CONFIG: &str = ".dockerconfigjson";

/// One secret value. Its Debug form is `***`. Its memory is overwritten when it is dropped.
pub(crate) struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a value.
    #[must_use]
    pub(crate) fn new(value: String) -> Self {
        Self(Zeroizing::new(value))
    }

    /// Returns the value, for the code that passes it on.
    #[must_use]
    pub(crate) fn expose(&self) -> &str {
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
