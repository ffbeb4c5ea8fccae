//! Reads the lists of a greeting with a limit on their length: an empty string takes 4 bytes of JSON and 24 of memory.

use std::collections::BTreeMap;
use std::fmt::{Formatter, Result as Written};
use std::marker::PhantomData;

use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// The most arguments, and the most variables. `buildah rmi` of all images of a large storage has some hundreds.
pub(super) const MAX_ITEMS: usize = 16_384;

pub(super) fn list<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    from.deserialize_seq(Bounded(PhantomData::<Vec<String>>))
}

pub(super) fn map<'de, D: Deserializer<'de>, V: Deserialize<'de>>(
    from: D,
) -> Result<BTreeMap<String, V>, D::Error> {
    from.deserialize_map(Bounded(PhantomData::<BTreeMap<String, V>>))
}

/// PATH_MAX, in bytes.
const MAX_PATH: usize = 4096;

pub(super) fn path<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let path = String::deserialize(from)?;
    if path.len() >= MAX_PATH {
        return Err(D::Error::custom("a path of 4096 bytes or more"));
    }
    Ok(path)
}

struct Bounded<T>(PhantomData<T>);

impl<'de> Visitor<'de> for Bounded<Vec<String>> {
    type Value = Vec<String>;

    fn expecting(&self, text: &mut Formatter<'_>) -> Written {
        write!(text, "a list of at most {MAX_ITEMS} texts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(text) = from.next_element()? {
            if all.len() == MAX_ITEMS {
                return Err(too_many("arguments"));
            }
            all.push(text);
        }
        Ok(all)
    }
}

impl<'de, V: Deserialize<'de>> Visitor<'de> for Bounded<BTreeMap<String, V>> {
    type Value = BTreeMap<String, V>;

    fn expecting(&self, text: &mut Formatter<'_>) -> Written {
        write!(text, "at most {MAX_ITEMS} variables or credentials")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
        let mut all = BTreeMap::new();
        while let Some((name, value)) = from.next_entry()? {
            if all.len() == MAX_ITEMS {
                return Err(too_many("variables or credentials"));
            }
            all.insert(name, value);
        }
        Ok(all)
    }
}

fn too_many<E: Error>(what: &str) -> E {
    E::custom(format!("more than {MAX_ITEMS} {what}"))
}

#[cfg(test)]
mod tests {
    use super::super::{Hello, Rejected};
    use super::*;

    fn hello(arguments: &[&str], variables: usize) -> Result<Hello, Rejected> {
        let environment: BTreeMap<String, String> = (0..variables)
            .map(|number| (number.to_string(), String::new()))
            .collect();
        let text = serde_json::json!({
            "version": [1, 0], "arguments": arguments, "directory": "/", "environment": environment,
        });
        Hello::read(text.to_string().as_bytes())
    }

    #[test]
    fn bounds_the_arguments_and_variables_of_a_greeting() {
        assert!(hello(&[""; MAX_ITEMS], MAX_ITEMS).is_ok());
        let error = hello(&[""; MAX_ITEMS + 1], 0).unwrap_err().to_string();
        assert!(error.contains("more than 16384 arguments"), "{error}");
        let error = hello(&[], MAX_ITEMS + 1).unwrap_err().to_string();
        assert!(error.contains("more than 16384 variables"), "{error}");
    }
}
