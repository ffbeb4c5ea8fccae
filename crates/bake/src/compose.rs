//! Compose files: each service with `build` is a target.

mod interpolate;
mod size;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use interpolate::Lookup;

use crate::blocks::{Group, target_name};
use crate::budget::Budget;
use crate::error::{BakeError, Result};
use crate::records::{Kind, from_value};
use crate::source::File;
use crate::target::{Target, converted};
use crate::value::{expected, text};
use crate::yaml;

/// Attributes that have another name in a target.
const SAME: [(&str, &str); 15] = [
    ("context", "context"),
    ("dockerfile", "dockerfile"),
    ("dockerfile_inline", "dockerfile-inline"),
    ("tags", "tags"),
    ("labels", "labels"),
    ("cache_from", "cache-from"),
    ("cache_to", "cache-to"),
    ("target", "target"),
    ("network", "network"),
    ("platforms", "platforms"),
    ("no_cache", "no-cache"),
    ("pull", "pull"),
    ("extra_hosts", "extra-hosts"),
    ("args", "args"),
    ("additional_contexts", "contexts"),
];
/// The keys of `x-bake`.
const EXTENSION: [&str; 11] = [
    "tags",
    "cache-from",
    "cache-to",
    "secret",
    "ssh",
    "platforms",
    "output",
    "pull",
    "no-cache",
    "no-cache-filter",
    "contexts",
];

/// Reads compose files. Returns the group `default` and the targets.
pub(crate) fn read(files: &[&File], lookup: Lookup<'_>) -> Result<(Group, Vec<(String, Target)>)> {
    let mut whole = Value::Object(Map::new());
    for file in files {
        let in_file = |error: BakeError| {
            let known = error.to_string();
            let known = known.strip_prefix(&format!("{}:", file.name)).is_some();
            if known {
                error
            } else {
                BakeError::new(format!("{}: {error}", file.name))
            }
        };
        let value = yaml::read(&file.name, &file.text).map_err(in_file)?;
        if !value.is_object() {
            return Err(in_file(expected("services", &value)));
        }
        let value = interpolate::all(value, lookup, &mut Budget::new()).map_err(in_file)?;
        check(&value).map_err(in_file)?;
        merge(&mut whole, value);
    }
    let empty = Map::new();
    let services = whole.get("services").and_then(Value::as_object);
    let (mut group, mut targets) = (Group::default(), Vec::new());
    for (service, body) in services.unwrap_or(&empty) {
        let Some(build) = body.get("build").filter(|build| !build.is_null()) else {
            continue;
        };
        let in_service = |error: BakeError| BakeError::new(format!("service {service}: {error}"));
        let name = target_name(service).map_err(in_service)?;
        let target = self::target(body, build, &whole, lookup).map_err(in_service)?;
        group.targets.push(name.clone());
        targets.push((name, target));
    }
    Ok((group, targets))
}

/// Rejects what would need other files.
fn check(file: &Value) -> Result<()> {
    let is_known = file.get("services").is_some_and(Value::is_object);
    if !is_known {
        return Err(BakeError::new("a compose file has services"));
    }
    if file.get("include").is_some() {
        return Err(BakeError::new(
            "include is not available; give each file with --file",
        ));
    }
    let services = file.get("services").and_then(Value::as_object).into_iter();
    for (name, service) in services.flatten() {
        // Even beside a build it would add to it.
        if service.get("extends").is_some() {
            return Err(BakeError::new(format!(
                "service {name}: extends is not available; write its build into the service"
            )));
        }
    }
    Ok(())
}

/// Adds a later file: objects are merged, lists are added, and anything else is replaced.
fn merge(whole: &mut Value, later: Value) {
    match (whole, later) {
        (Value::Object(whole), Value::Object(later)) => {
            for (key, value) in later {
                match whole.get_mut(&key) {
                    Some(known) => merge(known, value),
                    None => drop(whole.insert(key, value)),
                }
            }
        }
        (Value::Array(whole), Value::Array(later)) => {
            for value in later {
                if !whole.contains(&value) {
                    whole.push(value);
                }
            }
        }
        (whole, later) => *whole = later,
    }
}

fn target(service: &Value, build: &Value, whole: &Value, lookup: Lookup<'_>) -> Result<Target> {
    let mut target = Target::default();
    let build = match build {
        Value::String(context) => {
            target.set_text("context", context.as_str())?;
            return with_image(target, service);
        }
        Value::Object(build) => build,
        other => return Err(expected("build with a context", other)),
    };
    for (key, name) in SAME {
        let Some(value) = build.get(key).filter(|value| !value.is_null()) else {
            continue;
        };
        let value = match name {
            "labels" | "args" | "contexts" | "extra-hosts" => Value::Object(pairs(value)?),
            "cache-from" | "cache-to" | "tags" | "platforms" => listed(value),
            _ => value.clone(),
        };
        let value = match name {
            "args" => with_environment(value, service, lookup)?,
            "contexts" => linked(value)?,
            _ => value,
        };
        let in_key = |error: BakeError| BakeError::new(format!("{key}: {error}"));
        let value = converted(name, value).map_err(in_key)?;
        // An option that is off is the same as none.
        if value != Value::Bool(false) {
            target.set(name, value).map_err(in_key)?;
        }
    }
    others(build, whole, &mut target)?;
    extension(build.get("x-bake"), &mut target)?;
    with_image(target, service)
}

/// Sets what has another form in a target.
fn others(build: &Map<String, Value>, whole: &Value, target: &mut Target) -> Result<()> {
    if let Some(size) = build.get("shm_size").filter(|size| !size.is_null()) {
        target.set_text("shm-size", size::normal(size)?)?;
    }
    if let Some(Value::Object(limits)) = build.get("ulimits") {
        let limits: Result<Vec<String>> = limits.iter().map(ulimit).collect();
        target.set_list("ulimits", limits?)?;
    }
    for kind in ["sbom", "provenance"] {
        if let Some(value) = build.get(kind).filter(|value| !value.is_null()) {
            let record = crate::records::attestation(kind, &text(value)?);
            target.extend_records("attest", crate::records::parse(Kind::Attest, &record)?)?;
        }
    }
    if let Some(keys) = build.get("ssh").filter(|keys| !keys.is_null()) {
        let keys = match keys {
            Value::Object(map) => map
                .iter()
                .map(|(id, path)| match path {
                    Value::Null => Ok(Value::from(id.as_str())),
                    path => text(path).map(|path| Value::from(format!("{id}={path}"))),
                })
                .collect::<Result<Value>>()?,
            other => listed(other),
        };
        let mut keys = from_value(Kind::Ssh, &keys)?;
        keys.sort_by_key(|key| key.get("id").map(ToString::to_string));
        target.set_records("ssh", keys)?;
    }
    if let Some(Value::Array(secrets)) = build.get("secrets") {
        for secret in secrets {
            let id = match secret {
                Value::Object(long) => text(long.get("source").unwrap_or(&Value::Null))?,
                short => text(short)?,
            };
            let source = whole.get("secrets").and_then(|all| all.get(&id));
            let mut record = Map::new();
            record.insert("id".to_owned(), id.as_str().into());
            if let Some(source) = source {
                if source
                    .get("external")
                    .is_some_and(|external| *external == true)
                {
                    return Err(BakeError::new(format!("secret {id} is external")));
                }
                for (key, name) in [("file", "src"), ("environment", "env")] {
                    let value = source.get(key).map(text).transpose()?;
                    record.extend(value.map(|value| (name.to_owned(), value.into())));
                }
            }
            target.extend_records("secret", vec![record])?;
        }
    }
    Ok(())
}

/// Returns the build's name as its tag, if it has no other.
fn with_image(mut target: Target, service: &Value) -> Result<Target> {
    let image = service.get("image").and_then(Value::as_str);
    if let (true, Some(image)) = (target.list("tags").is_empty(), image) {
        target.set_list("tags", vec![image.to_owned()])?;
    }
    Ok(target)
}

fn extension(extension: Option<&Value>, target: &mut Target) -> Result<()> {
    let Some(Value::Object(extension)) = extension else {
        return Ok(());
    };
    for (key, value) in extension {
        if !EXTENSION.contains(&key.as_str()) {
            continue;
        }
        let value = match (key.as_str(), value) {
            ("contexts", value) => linked(Value::Object(pairs(value)?))?,
            // A text has several values.
            ("pull" | "no-cache", value) => value.clone(),
            (_, Value::String(text)) => text.split_whitespace().map(Value::from).collect(),
            (_, value) => value.clone(),
        };
        let mut more = Target::default();
        more.set(key, converted(key, value)?)?;
        match key.as_str() {
            "tags" | "platforms" | "no-cache-filter" => {
                let list = more.list(key).to_vec();
                target.extend_list(key, &list)?;
            }
            "cache-to" | "output" => target.extend_records(key, more.of_records(key).to_vec())?,
            "contexts" => {
                let known: BTreeMap<String, String> = target
                    .map(key)
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect();
                for (name, value) in more.map(key) {
                    if !known.contains_key(name) {
                        target.set_pair(key, name, value)?;
                    }
                }
            }
            _ => target.merge(&more)?,
        }
    }
    target.normalize();
    Ok(())
}

/// Returns a map that may be written as a list of `KEY=VALUE`.
fn pairs(value: &Value) -> Result<Map<String, Value>> {
    match value {
        Value::Object(map) => Ok(map.clone()),
        Value::Array(list) => {
            let mut map = Map::new();
            for item in list {
                let item = text(item)?;
                let (key, value) = match item.split_once('=').or_else(|| item.split_once(':')) {
                    Some((key, value)) => (key, Value::from(value)),
                    None => (item.as_str(), Value::Null),
                };
                map.insert(key.to_owned(), value);
            }
            Ok(map)
        }
        other => Err(expected("an object or a list", other)),
    }
}

fn listed(value: &Value) -> Value {
    match value {
        Value::Array(_) => value.clone(),
        other => Value::Array(vec![other.clone()]),
    }
}

/// Gives arguments without a value that of the service's environment or of the job's.
fn with_environment(arguments: Value, service: &Value, lookup: Lookup<'_>) -> Result<Value> {
    let own = match service.get("environment") {
        Some(environment) if !environment.is_null() => pairs(environment)?,
        _ => Map::new(),
    };
    let Value::Object(mut arguments) = arguments else {
        return Ok(arguments);
    };
    for (name, value) in &mut arguments {
        if value.is_null() {
            let own = own.get(name).filter(|value| !value.is_null()).cloned();
            *value = own
                .or_else(|| lookup(name).map(Value::from))
                .unwrap_or_default();
        }
    }
    Ok(Value::Object(arguments))
}

/// Writes contexts that are other services as targets.
fn linked(contexts: Value) -> Result<Value> {
    let Value::Object(mut contexts) = contexts else {
        return Ok(contexts);
    };
    for value in contexts.values_mut() {
        let path = text(value)?;
        let service = path
            .strip_prefix("service:")
            .or_else(|| path.strip_prefix("target:"));
        if let Some(service) = service {
            *value = Value::from(format!("target:{}", target_name(service)?));
        }
    }
    Ok(Value::Object(contexts))
}

fn ulimit((name, limit): (&String, &Value)) -> Result<String> {
    let (soft, hard) = match limit {
        Value::Object(limit) => {
            let get = |key: &str| text(limit.get(key).unwrap_or(&Value::Null));
            (get("soft")?, get("hard")?)
        }
        single => (text(single)?, text(single)?),
    };
    Ok(format!("{name}={soft}:{hard}"))
}
