//! `--set TARGET.KEY=VALUE`, and the flags that are short forms of it.

use std::collections::BTreeMap;

use pflag::parse_bool;
use serde_json::Value;

use crate::error::{BakeError, Result};
use crate::glob::matches;
use crate::records::{Kind, Record, parse};
use crate::target::Target;

/// One key of a target with its values.
#[derive(Debug, Default, Clone)]
struct Override {
    value: String,
    values: Vec<String>,
    appends: bool,
}

/// The overrides of each target.
#[derive(Debug, Default)]
pub(crate) struct Overrides(BTreeMap<String, BTreeMap<String, Override>>);

/// Keys that may be given more than once.
const LISTS: [&str; 14] = [
    "output",
    "cache-to",
    "cache-from",
    "tags",
    "platform",
    "secrets",
    "ssh",
    "attest",
    "entitlements",
    "annotations",
    "policy",
    "no-cache-filter",
    "ulimits",
    "platforms",
];
/// Keys that have a name after them.
const MAPS: [&str; 4] = ["args", "contexts", "labels", "extra-hosts"];

impl Overrides {
    /// Reads the values of `--set`. `names` are the targets.
    pub(crate) fn parse(
        given: &[String],
        names: &[&str],
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let mut overrides = Self::default();
        for given in given {
            let wrong = |what: &str| BakeError::new(format!("--set {given}: {what}"));
            let (path, value) = match given.split_once('=') {
                Some((path, value)) => (path, Some(value)),
                None => (given.as_str(), None),
            };
            let (path, appends) = match path.strip_suffix('+') {
                Some(path) => (path, true),
                None => (path, false),
            };
            let mut parts = path.splitn(3, '.');
            let (Some(pattern), Some(key)) = (parts.next(), parts.next()) else {
                return Err(wrong("expected TARGET.KEY=VALUE"));
            };
            let name = parts.next();
            if MAPS.contains(&key) && name.is_none() {
                return Err(wrong(&format!("expected TARGET.{key}.NAME=VALUE")));
            }
            let from_job = || name.filter(|_| key == "args").and_then(lookup);
            let value = match (value, key) {
                (Some(value), _) => value.to_owned(),
                (None, "args") => match from_job() {
                    Some(value) => value,
                    None => continue,
                },
                (None, _) => return Err(wrong("expected TARGET.KEY=VALUE")),
            };
            let exact = names.contains(&pattern);
            let chosen = names
                .iter()
                .filter(|known| **known == pattern || !exact && matches(pattern, known));
            let chosen: Vec<String> = chosen.map(|name| (*name).to_owned()).collect();
            if chosen.is_empty() {
                return Err(wrong(&format!(
                    "no target matches {pattern}; there are: {}",
                    names.join(", ")
                )));
            }
            let key = name.map_or(key.to_owned(), |name| format!("{key}.{name}"));
            for target in chosen {
                let keys = overrides.0.entry(target).or_default();
                let entry = keys.entry(key.clone()).or_default();
                entry.appends = appends;
                entry.values.push(value.clone());
                entry.value.clone_from(&value);
            }
        }
        Ok(overrides)
    }

    /// Applies the overrides of a target.
    pub(crate) fn apply(&self, name: &str, target: &mut Target) -> Result<()> {
        // These change the outputs that another key may set. buildx applies the keys in any order.
        let last = |key: &str| matches!(key, "push" | "load");
        let all = || self.0.get(name).into_iter().flatten();
        let keys = all().filter(|(key, _)| !last(key));
        let keys = keys.chain(all().rev().filter(|(key, _)| last(key)));
        for (key, given) in keys {
            apply(key, given, target)
                .map_err(|error| BakeError::new(format!("--set {name}.{key}: {error}")))?;
        }
        Ok(())
    }
}

fn apply(key: &str, given: &Override, target: &mut Target) -> Result<()> {
    let (key, name) = key.split_once('.').unwrap_or((key, ""));
    let on = || {
        parse_bool(&given.value)
            .ok_or_else(|| BakeError::new(format!("expected true or false, found {}", given.value)))
    };
    if MAPS.contains(&key) {
        return target.set_pair(key, name, &given.value);
    }
    if !LISTS.contains(&key) && given.appends {
        return Err(BakeError::new("+= adds to lists only"));
    }
    match key {
        "context" | "dockerfile" | "target" | "call" | "shm-size" | "network" => {
            target.set_text(key, &*given.value)
        }
        "tags" | "no-cache-filter" | "ulimits" if !given.appends => {
            target.set_list(key, given.values.clone())
        }
        "platform" | "platforms" if !given.appends => {
            target.set_list("platforms", given.values.clone())
        }
        "platform" | "platforms" => target.extend_list("platforms", &given.values),
        "tags" | "no-cache-filter" | "ulimits" | "entitlements" | "annotations" => {
            target.extend_list(key, &given.values)
        }
        "attest" => target.extend_records(key, records(Kind::Attest, given)?),
        "cache-from" | "cache-to" => set(key, Kind::Cache, given, target),
        "secrets" => set("secret", Kind::Secret, given, target),
        "ssh" => set(key, Kind::Ssh, given, target),
        "output" => set(key, Kind::Output, given, target),
        "policy" => set(key, Kind::Policy, given, target),
        "no-cache" | "pull" => target.set_bool(key, on()?),
        "push" => {
            let outputs = pushed(target.of_records("output").to_vec(), on()?);
            target.set_records("output", outputs)
        }
        "load" if on()? => {
            let outputs = loaded(target.of_records("output").to_vec());
            target.set_records("output", outputs)
        }
        "load" => Ok(()),
        other => Err(BakeError::new(format!("unknown key {other}"))),
    }
}

fn records(kind: Kind, given: &Override) -> Result<Vec<Record>> {
    let texts = given.values.iter().filter(|text| !text.is_empty());
    let lists: Result<Vec<Vec<Record>>> = texts.map(|text| parse(kind, text)).collect();
    Ok(lists?.concat())
}

fn set(key: &str, kind: Kind, given: &Override, target: &mut Target) -> Result<()> {
    let records = records(kind, given)?;
    if given.appends {
        return target.extend_records(key, records);
    }
    target.set_records(key, records)
}

fn output(pairs: &[(&str, &str)]) -> Record {
    let pairs = pairs.iter();
    pairs
        .map(|(key, value)| ((*key).to_owned(), Value::from(*value)))
        .collect()
}

fn has_type(record: &Record, kind: &str) -> bool {
    record.get("type").is_some_and(|found| found == kind)
}

/// Returns the outputs with or without a push.
fn pushed(mut outputs: Vec<Record>, on: bool) -> Vec<Record> {
    let state = Value::from(if on { "true" } else { "false" });
    for record in outputs
        .iter_mut()
        .filter(|record| has_type(record, "image"))
    {
        record.insert("push".to_owned(), state.clone());
    }
    if !on {
        outputs.retain(|record| !has_type(record, "registry"));
    } else if outputs.iter().all(|record| has_type(record, "docker")) {
        outputs.push(output(&[("type", "image"), ("push", "true")]));
    }
    outputs
}

/// Returns the outputs with a load, unless one of them is of files.
fn loaded(mut outputs: Vec<Record>) -> Vec<Record> {
    for record in &outputs {
        let is_image = ["image", "registry", "oci"]
            .iter()
            .any(|kind| has_type(record, kind));
        let is_file = record.contains_key("dest");
        if has_type(record, "docker") && !is_file || !has_type(record, "docker") && !is_image {
            return outputs;
        }
    }
    outputs.push(output(&[("type", "docker")]));
    outputs
}
