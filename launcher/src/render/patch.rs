//! Strategic merge patches, as `kubectl patch` and kustomize apply them: lists of named elements are merged by name.
//!
//! The key of each list is the API's `patchMergeKey`. A list without a key is replaced. No Rust crate does this, and
//! kustomize is a program in Go that a launch would have to install and start.
//!
//! Long because: the table of the API's merge keys, the merge and its errors are one subject.

use serde_json::{Map, Value};

/// A patch that cannot be merged.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PatchError {
    /// An element of a list has no key.
    #[error("{path}: an element has no \"{key}\"; add it, because this list is merged by that key")]
    NoKey {
        /// The position in the patch, as in `spec.containers`.
        path: String,
        /// The list's key.
        key: &'static str,
    },
    /// A directive is unknown.
    #[error(
        "{path}: unknown directive \"{text}\"; expected \"$patch: delete\", \"$patch: replace\", \"$patch: merge\", \"$retainKeys\", \"$setElementOrder/LIST\" or \"$deleteFromPrimitiveList/LIST\""
    )]
    Directive {
        /// The position in the patch, as in `spec.containers`.
        path: String,
        /// The directive.
        text: String,
    },
    /// The patch has a list in place of a map, or a map in place of a list.
    #[error("{path}: expected {wanted}")]
    Type {
        /// The position in the patch, as in `spec.containers`.
        path: String,
        /// The type that the API has there.
        wanted: &'static str,
    },
}

/// The way a list is merged.
enum Merge {
    /// Element by element: elements with the same value of this key are merged.
    By(&'static str),
    /// As a set of strings or numbers.
    Set,
    /// The patch's list replaces the object's.
    Replace,
}

/// Returns the way to merge the list at `path`. It knows the lists that a template's objects can have.
fn strategy(path: &[String]) -> Merge {
    let [.., parent, field] = path else {
        return Merge::Replace;
    };
    match (parent.as_str(), field.as_str()) {
        (_, "containers" | "initContainers" | "ephemeralContainers" | "volumes") => {
            Merge::By("name")
        }
        (_, "imagePullSecrets" | "schedulingGates" | "resourceClaims") => Merge::By("name"),
        (_, "env") | ("", "secrets") => Merge::By("name"),
        (_, "volumeMounts") => Merge::By("mountPath"),
        (_, "volumeDevices") => Merge::By("devicePath"),
        (_, "hostAliases") => Merge::By("ip"),
        (_, "topologySpreadConstraints") => Merge::By("topologyKey"),
        ("containers" | "initContainers", "ports") => Merge::By("containerPort"),
        ("metadata", "ownerReferences") => Merge::By("uid"),
        ("metadata", "finalizers") => Merge::Set,
        _ => Merge::Replace,
    }
}

/// Merges a patch into an object.
///
/// ```
/// use serde_json::json;
/// let mut object = json!({"spec": {"containers": [{"name": "runner", "image": "a", "env": [{"name": "A", "value": "1"}]}]}});
/// let patch = json!({"spec": {"containers": [{"name": "runner", "env": [{"name": "B", "value": "2"}]}]}});
/// launcher::render::patch::merge(&mut object, &patch)?;
/// assert_eq!(object["spec"]["containers"][0]["image"], "a");
/// assert_eq!(object["spec"]["containers"][0]["env"].as_array().map(Vec::len), Some(2));
/// # Ok::<(), launcher::render::patch::PatchError>(())
/// ```
///
/// # Errors
/// If the patch has an unknown directive, an element without its list's key, or a value of the wrong type.
pub fn merge(object: &mut Value, patch: &Value) -> Result<(), PatchError> {
    merge_value(object, patch, &mut vec![String::new()])
}

fn merge_value(
    object: &mut Value,
    patch: &Value,
    path: &mut Vec<String>,
) -> Result<(), PatchError> {
    match (object, patch) {
        (Value::Object(object), Value::Object(patch)) => merge_map(object, patch, path),
        (Value::Array(object), Value::Array(patch)) => merge_list(object, patch, path),
        (Value::Object(_), Value::Array(_)) => Err(wrong_type(path, "a map")),
        (Value::Array(_), Value::Object(_)) => Err(wrong_type(path, "a list")),
        (object, patch) => {
            // Merge a new map or list into an empty one: its directives must not become fields.
            let mut fresh = match patch {
                Value::Object(_) => Value::Object(Map::new()),
                Value::Array(_) => Value::Array(Vec::new()),
                other => {
                    *object = other.clone();
                    return Ok(());
                }
            };
            merge_value(&mut fresh, patch, path)?;
            *object = fresh;
            Ok(())
        }
    }
}

fn merge_map(
    object: &mut Map<String, Value>,
    patch: &Map<String, Value>,
    path: &mut Vec<String>,
) -> Result<(), PatchError> {
    match patch.get("$patch").map(Value::as_str) {
        None | Some(Some("merge")) => {}
        Some(Some("replace" | "delete")) => {
            let keeps = patch["$patch"] == "replace";
            object.clear();
            if !keeps {
                return Ok(());
            }
        }
        Some(_) => {
            return Err(unknown_directive(
                path,
                &format!("$patch: {}", patch["$patch"]),
            ));
        }
    }
    for (field, value) in patch {
        if field.starts_with('$') {
            apply_directive(object, field, value, path)?;
            continue;
        }
        if value.is_null() {
            object.remove(field);
            continue;
        }
        path.push(field.clone());
        merge_value(
            object.entry(field.clone()).or_insert(Value::Null),
            value,
            path,
        )?;
        path.pop();
        // Remove a map or list that the patch deletes, rather than leave it empty.
        if value
            .get("$patch")
            .is_some_and(|directive| directive == "delete")
        {
            object.remove(field);
        }
    }
    set_element_order(object, patch, path);
    retain_keys(object, patch);
    Ok(())
}

/// Applies a directive that precedes the fields, and rejects unknown directives.
fn apply_directive(
    object: &mut Map<String, Value>,
    field: &str,
    value: &Value,
    path: &[String],
) -> Result<(), PatchError> {
    if let Some(list) = field.strip_prefix("$deleteFromPrimitiveList/") {
        let gone = value.as_array().ok_or_else(|| wrong_type(path, "a list"))?;
        if let Some(Value::Array(list)) = object.get_mut(list) {
            list.retain(|element| !gone.contains(element));
        }
        return Ok(());
    }
    let known = matches!(field, "$patch" | "$retainKeys") || field.starts_with("$setElementOrder/");
    if known {
        Ok(())
    } else {
        Err(unknown_directive(path, field))
    }
}

/// Applies `$setElementOrder/LIST`: the elements that it names come first, in its order.
fn set_element_order(object: &mut Map<String, Value>, patch: &Map<String, Value>, path: &[String]) {
    for (field, wanted) in patch {
        let Some(list) = field.strip_prefix("$setElementOrder/") else {
            continue;
        };
        let mut at = path.to_vec();
        at.push(list.to_owned());
        let key = match strategy(&at) {
            Merge::By(key) => Some(key),
            Merge::Set | Merge::Replace => None,
        };
        let identity = |element: &Value| key.map_or(element.clone(), |key| element[key].clone());
        if let (Some(Value::Array(elements)), Some(wanted)) =
            (object.get_mut(list), wanted.as_array())
        {
            let rank = |element: &Value| {
                let identity_of = identity(element);
                let found = wanted.iter().position(|want| identity(want) == identity_of);
                found.unwrap_or(wanted.len())
            };
            elements.sort_by_key(rank);
        }
    }
}

/// Applies `$retainKeys`: removes every other key of the merged map.
fn retain_keys(object: &mut Map<String, Value>, patch: &Map<String, Value>) {
    if let Some(kept) = patch.get("$retainKeys").and_then(Value::as_array) {
        object.retain(|field, _| kept.iter().any(|kept| kept == field));
    }
}

fn merge_list(
    object: &mut Vec<Value>,
    patch: &[Value],
    path: &mut Vec<String>,
) -> Result<(), PatchError> {
    match strategy(path) {
        Merge::Replace => *object = patch.to_vec(),
        Merge::Set => {
            for element in patch {
                if !object.contains(element) {
                    object.push(element.clone());
                }
            }
        }
        Merge::By(key) => merge_by_key(object, patch, key, path)?,
    }
    Ok(())
}

fn merge_by_key(
    object: &mut Vec<Value>,
    patch: &[Value],
    key: &'static str,
    path: &mut Vec<String>,
) -> Result<(), PatchError> {
    let says = |element: &Value, word: &str| element["$patch"] == word;
    // A directive in an element without other fields is for the whole list.
    let whole = |element: &Value| element.as_object().is_some_and(|map| map.len() == 1);
    if patch
        .iter()
        .any(|element| says(element, "replace") && whole(element))
    {
        object.clear();
    }
    for element in patch
        .iter()
        .filter(|element| !(whole(element) && says(element, "replace")))
    {
        let identity = element.get(key).filter(|value| !value.is_null());
        let Some(identity) = identity else {
            let path = dotted(path);
            return Err(PatchError::NoKey { path, key });
        };
        let found = object
            .iter()
            .position(|other| other.get(key) == Some(identity));
        match (found, says(element, "delete")) {
            (Some(at), true) => {
                object.remove(at);
            }
            (None, true) => {}
            (Some(at), false) => merge_value(&mut object[at], element, path)?,
            (None, false) => {
                let mut fresh = Value::Null;
                merge_value(&mut fresh, element, path)?;
                object.push(fresh);
            }
        }
    }
    Ok(())
}

fn dotted(path: &[String]) -> String {
    path.join(".").trim_start_matches('.').to_owned()
}

fn wrong_type(path: &[String], wanted: &'static str) -> PatchError {
    let path = dotted(path);
    PatchError::Type { path, wanted }
}

fn unknown_directive(path: &[String], text: &str) -> PatchError {
    let (path, text) = (dotted(path), text.to_owned());
    PatchError::Directive { path, text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod() -> Value {
        json!({"metadata": {"labels": {"a": "1"}, "finalizers": ["x", "y"]}, "spec": {
            "containers": [
                {"name": "runner", "image": "r", "args": ["run"],
                 "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                 "ports": [{"containerPort": 80, "name": "http"}],
                 "volumeMounts": [{"name": "w", "mountPath": "/w"}, {"name": "t", "mountPath": "/tmp"}],
                 "securityContext": {"capabilities": {"drop": ["ALL"], "add": ["SETUID"]}}},
                {"name": "second", "image": "s"}],
            "tolerations": [{"key": "a"}],
            "volumes": [{"name": "w", "emptyDir": {"sizeLimit": "1Gi"}}, {"name": "t", "emptyDir": {}}]}})
    }

    fn merged(patch: &Value) -> Value {
        let mut object = pod();
        merge(&mut object, patch).unwrap();
        object
    }

    fn container(patch: &Value) -> Value {
        let mut element = json!({"name": "runner"});
        merge_value(&mut element, patch, &mut vec!["none".to_owned()]).unwrap();
        merged(&json!({"spec": {"containers": [element]}}))["spec"]["containers"][0].take()
    }

    #[test]
    fn lists_with_a_key_are_merged_by_it() {
        let env =
            container(&json!({"env": [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}]}));
        assert_eq!(
            env["env"],
            json!([{"name": "A", "value": "1"}, {"name": "B", "value": "3"}, {"name": "C", "value": "4"}])
        );
        assert_eq!(env["image"], "r");
        let mounts = container(&json!({"volumeMounts": [{"mountPath": "/tmp", "readOnly": true}]}));
        assert_eq!(
            mounts["volumeMounts"][1],
            json!({"name": "t", "mountPath": "/tmp", "readOnly": true})
        );
        let ports = container(
            &json!({"ports": [{"containerPort": 80, "protocol": "TCP"}, {"containerPort": 81}]}),
        );
        assert_eq!(
            ports["ports"],
            json!([{"containerPort": 80, "name": "http", "protocol": "TCP"}, {"containerPort": 81}])
        );
    }

    #[test]
    fn lists_without_a_key_are_replaced() {
        let patched = container(
            &json!({"args": ["other"], "securityContext": {"capabilities": {"add": ["SETGID"]}}}),
        );
        assert_eq!(patched["args"], json!(["other"]));
        assert_eq!(
            patched["securityContext"]["capabilities"],
            json!({"drop": ["ALL"], "add": ["SETGID"]})
        );
        let tolerations = merged(&json!({"spec": {"tolerations": [{"key": "b"}]}}));
        assert_eq!(tolerations["spec"]["tolerations"], json!([{"key": "b"}]));
    }

    #[test]
    fn null_and_delete_remove_fields_and_elements() {
        assert_eq!(container(&json!({"image": "x"}))["image"], "x");
        let mut object = pod();
        merge(
            &mut object,
            &json!({"metadata": {"labels": null}, "spec": {"tolerations": null}}),
        )
        .unwrap();
        assert!(
            object["metadata"].get("labels").is_none()
                && object["spec"].get("tolerations").is_none()
        );
        let patch = json!({"spec": {"containers": [{"name": "second", "$patch": "delete"}, {"name": "absent", "$patch": "delete"}]}});
        assert_eq!(
            merged(&patch)["spec"]["containers"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
        let patch = json!({"metadata": {"labels": {"$patch": "delete"}}});
        assert!(merged(&patch)["metadata"].get("labels").is_none());
        let patch = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["x"], "finalizers": ["z", "y"]}});
        assert_eq!(merged(&patch)["metadata"]["finalizers"], json!(["y", "z"]));
    }

    #[test]
    fn replace_works_on_maps_elements_and_lists() {
        let patch = json!({"metadata": {"labels": {"$patch": "replace", "b": "2"}}});
        assert_eq!(merged(&patch)["metadata"]["labels"], json!({"b": "2"}));
        let patch = json!({"spec": {"containers": [{"name": "runner", "image": "x", "$patch": "replace"}]}});
        let patched = merged(&patch);
        assert_eq!(
            patched["spec"]["containers"][0],
            json!({"name": "runner", "image": "x"})
        );
        assert_eq!(patched["spec"]["containers"].as_array().unwrap().len(), 2);
        let patch = json!({"spec": {"containers": [{"$patch": "replace"}, {"name": "only"}]}});
        assert_eq!(
            merged(&patch)["spec"]["containers"],
            json!([{"name": "only"}])
        );
    }

    #[test]
    fn retain_keys_changes_a_volumes_source() {
        let patch = json!({"spec": {"volumes": [{"name": "w", "$retainKeys": ["name", "ephemeral"], "ephemeral": {"x": 1}}]}});
        assert_eq!(
            merged(&patch)["spec"]["volumes"][0],
            json!({"name": "w", "ephemeral": {"x": 1}})
        );
        let patch =
            json!({"spec": {"volumes": [{"name": "w", "emptyDir": null, "ephemeral": {"x": 1}}]}});
        assert_eq!(
            merged(&patch)["spec"]["volumes"][0],
            json!({"name": "w", "ephemeral": {"x": 1}})
        );
    }

    #[test]
    fn set_element_order_sorts_a_list() {
        let patch = json!({"spec": {"$setElementOrder/containers": [{"name": "new"}, {"name": "runner"}], "containers": [{"name": "new"}]}});
        let patched = merged(&patch);
        let names: Vec<&Value> = patched["spec"]["containers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| &c["name"])
            .collect();
        assert_eq!(names, ["new", "runner", "second"]);
    }

    #[test]
    fn directives_never_reach_the_object() {
        let patch = json!({"spec": {"new": {"$patch": "merge", "a": {"$retainKeys": ["b"], "b": 1, "c": 2}},
            "containers": [{"name": "new", "$patch": "merge", "env": [{"name": "A", "$patch": "delete"}]}]}});
        let patched = merged(&patch);
        assert_eq!(patched["spec"]["new"], json!({"a": {"b": 1}}));
        assert!(!patched.to_string().contains('$'), "{patched}");
    }

    #[test]
    fn errors_name_the_position() {
        let error = |patch: Value| merge(&mut pod(), &patch).unwrap_err().to_string();
        assert!(
            error(json!({"spec": {"containers": [{"image": "x"}]}}))
                .starts_with("spec.containers: an element has no \"name\"")
        );
        assert!(
            error(json!({"spec": {"$what": 1}})).starts_with("spec: unknown directive \"$what\"")
        );
        assert!(
            error(json!({"spec": {"containers": {"name": "runner"}}}))
                .starts_with("spec.containers: expected a list")
        );
        assert!(error(json!({"metadata": {"labels": {"$patch": "x"}}})).contains("$patch: \"x\""));
    }
}
