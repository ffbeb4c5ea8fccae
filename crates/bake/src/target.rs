//! A target: the options of one build, and how targets inherit.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::error::{BakeError, Result};
use crate::records::{Kind, Record, from_value, normalize};
use crate::value::{boolean, expected, text};

/// The type of an attribute, and how it merges.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    Text,
    Bool,
    /// Lists of texts. A later one is added.
    Appended,
    /// Lists of texts. A later one takes the place of an earlier one.
    Replaced,
    Map,
    Records(Kind),
}

/// The attributes in the order in which buildx prints them.
pub(crate) const ATTRIBUTES: &[(&str, Form)] = &[
    ("description", Form::Text),
    ("inherits", Form::Appended),
    ("annotations", Form::Appended),
    ("attest", Form::Records(Kind::Attest)),
    ("context", Form::Text),
    ("contexts", Form::Map),
    ("dockerfile", Form::Text),
    ("dockerfile-inline", Form::Text),
    ("args", Form::Map),
    ("labels", Form::Map),
    ("tags", Form::Replaced),
    ("cache-from", Form::Records(Kind::Cache)),
    ("cache-to", Form::Records(Kind::Cache)),
    ("target", Form::Text),
    ("secret", Form::Records(Kind::Secret)),
    ("ssh", Form::Records(Kind::Ssh)),
    ("platforms", Form::Replaced),
    ("output", Form::Records(Kind::Output)),
    ("pull", Form::Bool),
    ("no-cache", Form::Bool),
    ("network", Form::Text),
    ("no-cache-filter", Form::Appended),
    ("shm-size", Form::Text),
    ("ulimits", Form::Appended),
    ("call", Form::Text),
    ("entitlements", Form::Appended),
    ("extra-hosts", Form::Map),
    ("policy", Form::Records(Kind::Policy)),
];

pub(crate) fn form(name: &str) -> Option<Form> {
    let found = ATTRIBUTES.iter().find(|(known, _)| *known == name);
    found.map(|(_, form)| *form)
}

/// The options of one build.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Target {
    texts: BTreeMap<&'static str, String>,
    bools: BTreeMap<&'static str, bool>,
    lists: BTreeMap<&'static str, Vec<String>>,
    maps: BTreeMap<&'static str, BTreeMap<String, String>>,
    records: BTreeMap<&'static str, Vec<Record>>,
    /// Whether the target is built only because another one uses it.
    pub linked: bool,
}

/// Returns the name of an attribute with the lifetime of the program.
fn fixed(name: &str) -> Result<(&'static str, Form)> {
    let found = ATTRIBUTES.iter().find(|(known, _)| *known == name);
    found.copied().ok_or_else(|| {
        let known: Vec<&str> = ATTRIBUTES.iter().map(|(name, _)| *name).collect();
        BakeError::new(format!(
            "a target has no attribute {name}; it may have: {}",
            known.join(", ")
        ))
    })
}

/// Converts the value of an attribute to its type. Null stays null.
pub(crate) fn converted(name: &str, value: Value) -> Result<Value> {
    if value.is_null() {
        return Ok(value);
    }
    match fixed(name)?.1 {
        Form::Text => text(&value).map(Value::String),
        Form::Bool => boolean(&value).map(Value::Bool),
        Form::Appended | Form::Replaced => match value {
            Value::Array(list) => {
                let list: Result<Vec<String>> = list.iter().map(text).collect();
                list.map(Value::from)
            }
            other => Err(expected("a list of texts", &other)),
        },
        Form::Map => match value {
            Value::Object(map) => {
                let pairs = map.into_iter().map(|(key, value)| match value {
                    Value::Null => Ok((key, Value::Null)),
                    value => Ok((key, Value::String(text(&value)?))),
                });
                pairs.collect::<Result<_>>().map(Value::Object)
            }
            other => Err(expected("an object with texts", &other)),
        },
        Form::Records(_) if value.is_array() => Ok(value),
        Form::Records(_) => Err(expected("a list", &value)),
    }
}

impl Target {
    /// Returns an attribute that is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str)
    }

    /// Returns an attribute that is on or off. The default is off.
    #[must_use]
    pub fn is_on(&self, name: &str) -> bool {
        self.bools.get(name).copied().unwrap_or(false)
    }

    /// Returns an attribute that is a list of texts.
    #[must_use]
    pub fn list(&self, name: &str) -> &[String] {
        self.lists.get(name).map_or(&[], Vec::as_slice)
    }

    /// Returns the pairs of an attribute, sorted by their keys.
    pub fn map(&self, name: &str) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.maps.get(name).into_iter().flatten();
        pairs.map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Returns an attribute that is a list of records, each as the text that `docker build` reads.
    #[must_use]
    pub fn records(&self, name: &str) -> Vec<String> {
        let records = self.records.get(name).into_iter().flatten();
        match form(name) {
            Some(Form::Records(kind)) => records
                .map(|record| crate::records::to_text(kind, record))
                .collect(),
            _ => Vec::new(),
        }
    }

    pub(crate) fn of_records(&self, name: &str) -> &[Record] {
        self.records.get(name).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn bool_of(&self, name: &str) -> Option<bool> {
        self.bools.get(name).copied()
    }

    /// Sets an attribute from a converted value. Null leaves it unset.
    pub(crate) fn set(&mut self, name: &str, value: Value) -> Result<()> {
        let (name, form) = fixed(name)?;
        match (form, value) {
            (_, Value::Null) => {}
            (Form::Text, Value::String(text)) => drop(self.texts.insert(name, text)),
            (Form::Bool, Value::Bool(on)) => drop(self.bools.insert(name, on)),
            (Form::Appended | Form::Replaced, Value::Array(list)) => {
                let texts: Result<Vec<String>> = list.iter().map(text).collect();
                self.lists.insert(name, texts?);
            }
            (Form::Map, Value::Object(map)) => {
                let pairs = map.into_iter().filter(|(_, value)| !value.is_null());
                let pairs: Result<BTreeMap<String, String>> =
                    pairs.map(|(key, value)| Ok((key, text(&value)?))).collect();
                self.maps.insert(name, pairs?);
            }
            (Form::Records(kind), value) => {
                self.records.insert(name, from_value(kind, &value)?);
            }
            (_, other) => return Err(expected("another type", &other)),
        }
        Ok(())
    }

    pub(crate) fn set_text(&mut self, name: &str, value: impl Into<String>) -> Result<()> {
        self.texts.insert(fixed(name)?.0, value.into());
        Ok(())
    }

    pub(crate) fn map_text(&mut self, name: &str, with: impl Fn(&str) -> String) {
        if let Some(text) = self.texts.get_mut(name) {
            *text = with(text);
        }
    }

    pub(crate) fn set_bool(&mut self, name: &str, value: bool) -> Result<()> {
        self.bools.insert(fixed(name)?.0, value);
        Ok(())
    }

    pub(crate) fn set_list(&mut self, name: &str, value: Vec<String>) -> Result<()> {
        self.lists.insert(fixed(name)?.0, value);
        Ok(())
    }

    pub(crate) fn extend_list(&mut self, name: &str, more: &[String]) -> Result<()> {
        let list = self.lists.entry(fixed(name)?.0).or_default();
        list.extend_from_slice(more);
        Ok(())
    }

    pub(crate) fn set_pair(&mut self, name: &str, key: &str, value: &str) -> Result<()> {
        let map = self.maps.entry(fixed(name)?.0).or_default();
        map.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    pub(crate) fn set_records(&mut self, name: &str, value: Vec<Record>) -> Result<()> {
        self.records.insert(fixed(name)?.0, value);
        Ok(())
    }

    pub(crate) fn extend_records(&mut self, name: &str, more: Vec<Record>) -> Result<()> {
        let (name, form) = fixed(name)?;
        let mut records = self.records.remove(name).unwrap_or_default();
        records.extend(more);
        if let Form::Records(kind) = form {
            self.records.insert(name, normalize(kind, records));
        }
        Ok(())
    }

    /// Adds the attributes of another target, which take precedence.
    pub(crate) fn merge(&mut self, other: &Self) -> Result<()> {
        self.texts.extend(other.texts.clone());
        self.bools.extend(other.bools.clone());
        for (name, list) in &other.lists {
            match form(name) {
                Some(Form::Appended) => self.extend_list(name, list)?,
                _ => self.set_list(name, list.clone())?,
            }
        }
        for (name, map) in &other.maps {
            self.maps.entry(name).or_default().extend(map.clone());
        }
        for (name, records) in &other.records {
            match *name {
                "cache-to" | "output" => self.set_records(name, records.clone())?,
                _ => self.extend_records(name, records.clone())?,
            }
        }
        Ok(())
    }

    /// Removes duplicates and what is empty.
    pub(crate) fn normalize(&mut self) {
        if self.text("network") == Some("host") {
            let list = self.lists.entry("entitlements").or_default();
            list.push("network.host".to_owned());
        }
        for (name, list) in &mut self.lists {
            if *name != "inherits" {
                let mut seen = BTreeSet::new();
                list.retain(|text| !text.is_empty() && seen.insert(text.clone()));
            }
        }
        for (name, records) in &mut self.records {
            if let Some(Form::Records(kind)) = form(name) {
                *records = normalize(kind, std::mem::take(records));
            }
        }
        if let Some(contexts) = self.maps.get_mut("contexts") {
            contexts.retain(|_, value| !value.is_empty());
        }
    }

    pub(crate) fn clear_inherits(&mut self) {
        self.lists.remove("inherits");
    }
}
