//! Lists of a greeting, which end with an error before they cost memory: four bytes of JSON make a string of thirty.

use std::collections::BTreeMap;
use std::fmt::{Formatter, Result as Written};
use std::marker::PhantomData;

use serde::Deserializer;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};

/// The most arguments, and the most variables: `buildah rmi` of all images of a large storage has some hundreds.
pub(super) const MOST: usize = 16_384;

pub(super) fn list<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    from.deserialize_seq(Bounded(PhantomData::<Vec<String>>))
}

pub(super) fn map<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    from.deserialize_map(Bounded(PhantomData::<BTreeMap<String, String>>))
}

struct Bounded<T>(PhantomData<T>);

impl<'de> Visitor<'de> for Bounded<Vec<String>> {
    type Value = Vec<String>;

    fn expecting(&self, text: &mut Formatter<'_>) -> Written {
        write!(text, "a list of at most {MOST} texts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(text) = from.next_element()? {
            if all.len() == MOST {
                return Err(too_many("arguments"));
            }
            all.push(text);
        }
        Ok(all)
    }
}

impl<'de> Visitor<'de> for Bounded<BTreeMap<String, String>> {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, text: &mut Formatter<'_>) -> Written {
        write!(text, "at most {MOST} variables")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
        let mut all = BTreeMap::new();
        while let Some((name, value)) = from.next_entry()? {
            if all.len() == MOST {
                return Err(too_many("variables"));
            }
            all.insert(name, value);
        }
        Ok(all)
    }
}

fn too_many<E: Error>(what: &str) -> E {
    E::custom(format!("more than {MOST} {what}"))
}

#[cfg(test)]
mod tests {
    use super::super::Hello;
    use super::*;

    fn hello(arguments: &[&str], variables: usize) -> Result<Hello, String> {
        let environment: BTreeMap<String, String> = (0..variables)
            .map(|number| (number.to_string(), String::new()))
            .collect();
        let text = serde_json::json!({
            "version": [1, 0], "arguments": arguments, "directory": "/", "environment": environment,
        });
        Hello::read(text.to_string().as_bytes())
    }

    #[test]
    fn a_greeting_has_so_many_arguments_and_variables_and_no_more() {
        assert!(hello(&[""; MOST], MOST).is_ok());
        let error = hello(&[""; MOST + 1], 0).unwrap_err();
        assert!(error.contains("more than 16384 arguments"), "{error}");
        let error = hello(&[], MOST + 1).unwrap_err();
        assert!(error.contains("more than 16384 variables"), "{error}");
    }
}
