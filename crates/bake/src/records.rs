//! Records: caches, outputs, attestations, secrets and SSH keys, as texts (`type=registry,ref=…`) and as objects.

use serde_json::{Map, Value};

use crate::error::{BakeError, Result};
use crate::value::{expected, text};

/// What a record describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Attest,
    Cache,
    Output,
    Policy,
    Secret,
    Ssh,
}

/// One record.
pub(crate) type Record = Map<String, Value>;

/// Reads the list of an attribute. Its elements are texts or objects.
pub(crate) fn from_value(kind: Kind, value: &Value) -> Result<Vec<Record>> {
    let Value::Array(list) = value else {
        return Err(expected("a list", value));
    };
    let mut records = Vec::new();
    for item in list {
        match item {
            Value::String(text) if text.is_empty() => {}
            Value::String(text) => records.extend(parse(kind, text)?),
            Value::Object(object) => records.push(from_object(kind, object)?),
            other => return Err(expected("a text or an object", other)),
        }
    }
    Ok(records)
}

fn from_object(kind: Kind, object: &Map<String, Value>) -> Result<Record> {
    let mut record = Record::new();
    for (key, value) in object {
        let value = match (kind, key.as_str()) {
            _ if value.is_null() => continue,
            (Kind::Ssh, "paths") => value.clone(),
            (Kind::Attest, "disabled") if !crate::value::boolean(value)? => continue,
            (Kind::Attest, "disabled") => Value::Bool(true),
            _ => Value::String(text(value)?),
        };
        record.insert(key.clone(), value);
    }
    checked(kind, record)
}

/// Reads a text. A cache without `=` may be several registries.
pub(crate) fn parse(kind: Kind, written: &str) -> Result<Vec<Record>> {
    let mut record = Record::new();
    if kind == Kind::Ssh {
        let (id, paths) = written.split_once('=').unwrap_or((written, ""));
        record.insert("id".to_owned(), id.into());
        if !paths.is_empty() {
            record.insert("paths".to_owned(), paths.split(',').collect());
        }
        return Ok(vec![record]);
    }
    let fields = pflag::csv::split(written);
    if !written.contains('=') {
        match kind {
            Kind::Cache => {
                let registry = |field: &String| {
                    let pairs = [("type", "registry"), ("ref", field.as_str())];
                    let pairs = pairs.map(|(key, value)| (key.to_owned(), value.into()));
                    pairs.into_iter().collect()
                };
                return Ok(fields.iter().map(registry).collect());
            }
            Kind::Output => {
                let kind = if written == "-" { "tar" } else { "local" };
                record.insert("type".to_owned(), kind.into());
                record.insert("dest".to_owned(), written.into());
                return Ok(vec![record]);
            }
            _ => {}
        }
    }
    for field in &fields {
        let Some((key, value)) = field.split_once('=') else {
            return Err(BakeError::new(format!(
                "{written}: expected KEY=VALUE, found {field:?}"
            )));
        };
        let lower = key.trim().to_lowercase();
        let (key, value) = match (kind, lower.as_str()) {
            (Kind::Secret, "source") => ("src".to_owned(), value.into()),
            (Kind::Attest, "disabled") => {
                let off = pflag::parse_bool(value);
                let wrong = || BakeError::new(format!("{written}: disabled is a bool"));
                if !off.ok_or_else(wrong)? {
                    continue;
                }
                (lower, Value::Bool(true))
            }
            // buildx keeps the case of an attestation's attributes.
            (Kind::Attest, "type") => (lower, value.into()),
            (Kind::Attest, _) => (key.to_owned(), value.into()),
            _ => (lower, value.into()),
        };
        record.insert(key, value);
    }
    if kind == Kind::Secret {
        name_source(&mut record);
    }
    Ok(vec![checked(kind, record)?])
}

/// Gives the source of a secret its key: with `type=env` it is a variable.
fn name_source(record: &mut Record) {
    let is_variable = record.remove("type") == Some("env".into());
    if is_variable && !record.contains_key("env") {
        let name = record.remove("src");
        record.extend(name.map(|name| ("env".to_owned(), name)));
    }
}

/// Returns the record of an attestation for a value of `--sbom` or `--provenance`.
#[must_use]
pub fn attestation(kind: &str, value: &str) -> String {
    match pflag::parse_bool(value) {
        Some(on) => format!("type={kind},disabled={}", !on),
        None => format!("type={kind},{value}"),
    }
}

fn checked(kind: Kind, record: Record) -> Result<Record> {
    let has_type = record.get("type").is_some_and(|kind| *kind != "");
    let needs_type = matches!(kind, Kind::Attest | Kind::Cache | Kind::Output);
    if needs_type && !has_type {
        return Err(BakeError::new(format!(
            "{} has no type=",
            Value::Object(record)
        )));
    }
    Ok(record)
}

/// Returns the text that `docker build` reads.
pub(crate) fn to_text(kind: Kind, record: &Record) -> String {
    let get = |key: &str| record.get(key).and_then(Value::as_str).unwrap_or_default();
    if kind == Kind::Ssh {
        let paths = record.get("paths").and_then(Value::as_array);
        let paths = paths.map(|paths| paths.iter().filter_map(Value::as_str).collect::<Vec<_>>());
        return match paths.filter(|paths| !paths.is_empty()) {
            Some(paths) => format!("{}={}", get("id"), paths.join(",")),
            None => get("id").to_owned(),
        };
    }
    let first: &[&str] = match kind {
        Kind::Secret => &["id", "src", "env"],
        Kind::Output => &["type", "dest"],
        _ => &["type", "disabled"],
    };
    let rest = record.keys().map(String::as_str);
    let rest = rest.filter(|key| !first.contains(key));
    let keys = first.iter().copied().chain(rest);
    let fields = keys.filter_map(|key| {
        let value = text(record.get(key)?).ok()?;
        Some(quoted(&format!("{key}={value}")))
    });
    fields.collect::<Vec<_>>().join(",")
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

/// Removes records that a later one repeats, in buildx's order.
pub(crate) fn normalize(kind: Kind, mut records: Vec<Record>) -> Vec<Record> {
    let key = match kind {
        Kind::Attest => "type",
        Kind::Secret | Kind::Ssh => "id",
        Kind::Policy => return records,
        Kind::Cache | Kind::Output => {
            for index in (0..records.len().saturating_sub(1)).rev() {
                let later = (index + 1..records.len()).find(|at| records[*at] == records[index]);
                if let Some(later) = later {
                    records.swap_remove(later);
                }
            }
            return records;
        }
    };
    let mut kept: Vec<Record> = Vec::new();
    for record in records {
        match kept
            .iter_mut()
            .find(|known| known.get(key) == record.get(key))
        {
            Some(known) => *known = record,
            None => kept.push(record),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_go_both_ways() {
        for (kind, written, expected) in [
            (
                Kind::Cache,
                "user/app:cache",
                "type=registry,ref=user/app:cache",
            ),
            (Kind::Cache, "type=gha,scope=a", "type=gha,scope=a"),
            (Kind::Output, "out", "type=local,dest=out"),
            (Kind::Output, "-", "type=tar,dest=-"),
            (
                Kind::Output,
                "type=image,\"name=a,b\",push=true",
                "type=image,\"name=a,b\",push=true",
            ),
            (
                Kind::Attest,
                "type=provenance,mode=max",
                "type=provenance,mode=max",
            ),
            (
                Kind::Attest,
                "type=sbom,disabled=true",
                "type=sbom,disabled=true",
            ),
            (Kind::Secret, "type=env,id=T", "id=T"),
            (Kind::Secret, "id=a,source=b", "id=a,src=b"),
            (Kind::Ssh, "default=/a,/b", "default=/a,/b"),
            (Kind::Ssh, "default", "default"),
        ] {
            let records = parse(kind, written).unwrap();
            assert_eq!(to_text(kind, &records[0]), expected, "{written}");
        }
        assert!(parse(Kind::Output, "dest=x").is_err());
        assert_eq!(parse(Kind::Cache, "a,b").unwrap().len(), 2);
    }
}
