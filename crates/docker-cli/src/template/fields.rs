//! Fields of Docker's types. JSON does not tell a map from a struct, and one nil from another; the names of fields do.

use serde_json::Value;

use super::error::TemplateError;
use super::parse::{Pipe, Term};

/// Fields with a map. A missing key has no value.
const MAPS: [&str; 9] = [
    "Annotations",
    "Data",
    "ExposedPorts",
    "Labels",
    "Metadata",
    "Options",
    "Runtimes",
    "TLSMaterial",
    "Volumes",
];

/// Fields with a pointer. A field of nil is an error.
const POINTERS: [&str; 2] = ["Healthcheck", "StopTimeout"];

/// Follows the path from a value.
pub(super) fn follow(mut value: Value, path: &[String]) -> Result<Value, TemplateError> {
    let mut parent = None;
    for name in path {
        value = match value {
            Value::Object(mut map) => match map.remove(name) {
                Some(inner) => inner,
                None if is_descriptor(parent, &map) => {
                    // JSON has `mediaType` where Go's type has MediaType.
                    map.remove(&json_name(name)).unwrap_or_default()
                }
                None if is_map(parent, &map) => Value::Null,
                None => {
                    let known: Vec<_> = map.keys().map(String::as_str).collect();
                    let known = known.join(", ");
                    return Err(TemplateError(format!(
                        "requests the field {name}; the fields are {known}"
                    )));
                }
            },
            Value::Null => match parent {
                Some(parent) if POINTERS.contains(&parent) => {
                    return Err(TemplateError(format!(
                        "requests a field of {parent}, which is nil"
                    )));
                }
                _ => Value::Null,
            },
            _ => {
                return Err(TemplateError(format!(
                    "requests the field {name} of a value without fields"
                )));
            }
        };
        parent = Some(name.as_str());
    }
    Ok(value)
}

/// Returns whether an object is a descriptor or a platform of OCI.
fn is_descriptor(field: Option<&str>, map: &serde_json::Map<String, Value>) -> bool {
    let known = ["digest", "architecture"]
        .iter()
        .any(|key| map.contains_key(*key));
    known && !field.is_some_and(|field| MAPS.contains(&field))
}

/// Returns the name of a field in OCI's JSON.
fn json_name(field: &str) -> String {
    match field {
        "OS" => "os".to_owned(),
        field => {
            let mut letters = field.chars();
            let first = letters.next().map(|first| first.to_ascii_lowercase());
            first.into_iter().chain(letters).collect()
        }
    }
}

/// Returns whether an object is a map. Exported fields of Go begin with a capital letter, and most keys do not.
fn is_map(field: Option<&str>, map: &serde_json::Map<String, Value>) -> bool {
    let exported = |key: &String| key.starts_with(|first: char| first.is_ascii_uppercase());
    field.is_some_and(|field| MAPS.contains(&field)) || !map.keys().all(exported) || map.is_empty()
}

/// Returns the text of nil for an action that is one field.
pub(super) fn nil(pipe: &Pipe) -> Option<&'static str> {
    let [command] = pipe.commands.as_slice() else {
        return None;
    };
    let [Term::Dot(path) | Term::Variable(_, path) | Term::Group(_, path)] = command.as_slice()
    else {
        return None;
    };
    match path.last()?.as_str() {
        name if MAPS.contains(&name) => Some("map[]"),
        name if POINTERS.contains(&name) => Some("<nil>"),
        "Cmd" | "Env" | "Entrypoint" | "OnBuild" | "Shell" | "RepoTags" | "RepoDigests"
        | "Layers" | "SecurityOptions" | "Warnings" | "Plugins" | "Test" => Some("[]"),
        _ => None,
    }
}
