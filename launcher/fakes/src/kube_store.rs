//! The objects of the fake API server: versions, watches, and server-side apply with its field managers and conflicts.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use crate::rejection::{Rejection, rejection};

pub const NAMESPACE: &str = "ci-cd-agents";

struct Stored {
    value: Value,
    /// The fields that each manager applied: path to value.
    applied: HashMap<String, BTreeMap<String, Value>>,
}

struct Watcher {
    resource: String,
    selector: Option<String>,
    sender: mpsc::UnboundedSender<Result<Vec<u8>, ()>>,
}

/// The objects of a namespace.
#[derive(Default)]
pub struct Store {
    objects: BTreeMap<(String, String), Stored>,
    version: u64,
    history: Vec<(u64, String, &'static str, Value)>,
    watchers: Vec<Watcher>,
    /// A watch that begins before this version is rejected as expired.
    pub expired: u64,
}

impl Store {
    pub fn get(&self, resource: &str, name: &str) -> Option<&Value> {
        let key = (resource.to_owned(), name.to_owned());
        self.objects.get(&key).map(|stored| &stored.value)
    }

    pub fn list(&self, resource: &str, selector: Option<&str>) -> Vec<Value> {
        let of = self.objects.iter().filter(|((of, _), _)| of == resource);
        of.map(|(_, stored)| stored.value.clone())
            .filter(|object| selects(selector, object))
            .collect()
    }

    pub fn version(&self) -> u64 {
        self.version
    }

    /// Creates or changes an object as a controller does, without field ownership.
    pub fn update(&mut self, resource: &str, name: &str, change: impl FnOnce(&mut Value)) {
        let key = (resource.to_owned(), name.to_owned());
        let existed = self.objects.contains_key(&key);
        let stored = self.objects.entry(key.clone()).or_insert_with(|| Stored {
            value: json!({"metadata": {"name": name, "namespace": NAMESPACE}}),
            applied: HashMap::new(),
        });
        change(&mut stored.value);
        self.written(&key, existed);
    }

    /// Server-side apply.
    pub fn apply(
        &mut self,
        resource: &str,
        config: &Value,
        manager: &str,
        force: bool,
    ) -> Result<Value, Rejection> {
        let name = config["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let key = (resource.to_owned(), name.clone());
        let uid = config["metadata"]["uid"].as_str();
        let existing = self.objects.get(&key);
        let live_uid =
            existing.map(|stored| stored.value["metadata"]["uid"].as_str().unwrap_or_default());
        if uid.is_some() && uid != live_uid {
            return Err(rejection(
                409,
                "Conflict",
                format!("Operation cannot be fulfilled on {resource} \"{name}\": uid mismatch"),
            ));
        }
        let mut fields = BTreeMap::new();
        flatten(config, "", &mut fields);
        let mut value = existing.map_or_else(|| json!({}), |stored| stored.value.clone());
        let mut applied = existing
            .map(|stored| stored.applied.clone())
            .unwrap_or_default();
        let conflicts = conflicts(&fields, &applied, &value, manager);
        if !conflicts.is_empty() && !force {
            return Err(conflict(conflicts));
        }
        merge(&mut value, &fields, &mut applied, manager);
        let existed = existing.is_some();
        validate(resource, existing.map(|stored| &stored.value), &value)?;
        if existed && existing.is_some_and(|stored| stored.value == value) {
            applied.insert(manager.to_owned(), fields);
            if let Some(stored) = self.objects.get_mut(&key) {
                stored.applied = applied;
            }
            return Ok(value);
        }
        applied.insert(manager.to_owned(), fields);
        if !existed {
            let number = self.version + 1;
            value["metadata"]["uid"] = format!("uid-{number}").into();
            value["metadata"]["creationTimestamp"] = now().into();
        }
        self.objects.insert(key.clone(), Stored { value, applied });
        self.written(&key, existed);
        Ok(self.objects[&key].value.clone())
    }

    /// Deletes an object and what it owns.
    pub fn delete(
        &mut self,
        resource: &str,
        name: &str,
        uid: Option<&str>,
    ) -> Result<Value, Rejection> {
        let key = (resource.to_owned(), name.to_owned());
        let live = self.get(resource, name).cloned();
        let live = live.ok_or_else(|| {
            rejection(404, "NotFound", format!("{resource} \"{name}\" not found"))
        })?;
        if uid.is_some_and(|uid| live["metadata"]["uid"] != uid) {
            return Err(rejection(
                409,
                "Conflict",
                "Precondition failed: UID in precondition".to_owned(),
            ));
        }
        self.objects.remove(&key);
        self.version += 1;
        let mut gone = live.clone();
        gone["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.notify(resource, "DELETED", gone);
        self.collect_garbage();
        Ok(live)
    }

    /// Deletes the objects whose owners do not exist.
    pub fn collect_garbage(&mut self) {
        let uid = |object: &Value| object["uid"].as_str().unwrap_or_default().to_owned();
        let uids: HashSet<String> = self
            .objects
            .values()
            .map(|stored| uid(&stored.value["metadata"]))
            .collect();
        let lost = self.objects.iter().find(|(_, stored)| {
            let owners = stored.value["metadata"]["ownerReferences"].as_array();
            owners.is_some_and(|owners| !owners.iter().any(|owner| uids.contains(&uid(owner))))
        });
        if let Some((resource, name)) = lost.map(|(key, _)| key.clone()) {
            // This calls `collect_garbage` again.
            let _ = self.delete(&resource, &name, None);
        }
    }

    /// Begins a watch, with the events since a version.
    pub fn watch(
        &mut self,
        resource: &str,
        selector: Option<String>,
        since: u64,
    ) -> Result<mpsc::UnboundedReceiver<Result<Vec<u8>, ()>>, Rejection> {
        if since < self.expired {
            return Err(rejection(
                410,
                "Expired",
                format!("too old resource version: {since} ({})", self.version),
            ));
        }
        let (sender, receiver) = mpsc::unbounded_channel();
        for (version, of, kind, object) in &self.history {
            if *version > since && of == resource && selects(selector.as_deref(), object) {
                let _ = sender.send(Ok(event(kind, object)));
            }
        }
        self.watchers.push(Watcher {
            resource: resource.to_owned(),
            selector,
            sender,
        });
        Ok(receiver)
    }

    /// Ends all watches: by breaking the connection, or by ending the response.
    pub fn end_watches(&mut self, cut: bool) {
        for watcher in self.watchers.drain(..) {
            if cut {
                let _ = watcher.sender.send(Err(()));
            }
        }
    }

    fn written(&mut self, key: &(String, String), existed: bool) {
        self.version += 1;
        let Some(stored) = self.objects.get_mut(key) else {
            return;
        };
        stored.value["metadata"]["resourceVersion"] = self.version.to_string().into();
        let object = stored.value.clone();
        self.notify(&key.0, if existed { "MODIFIED" } else { "ADDED" }, object);
    }

    fn notify(&mut self, resource: &str, kind: &'static str, object: Value) {
        self.watchers.retain(|watcher| {
            let wanted =
                watcher.resource == resource && selects(watcher.selector.as_deref(), &object);
            !wanted || watcher.sender.send(Ok(event(kind, &object))).is_ok()
        });
        self.history
            .push((self.version, resource.to_owned(), kind, object));
    }
}

pub fn now() -> String {
    let second = jiff::Timestamp::now().as_second();
    jiff::Timestamp::from_second(second).unwrap().to_string()
}

fn event(kind: &str, object: &Value) -> Vec<u8> {
    format!("{}\n", json!({"type": kind, "object": object})).into_bytes()
}

fn selects(selector: Option<&str>, object: &Value) -> bool {
    selector.is_none_or(|selector| {
        selector
            .split(',')
            .filter_map(|term| term.split_once('='))
            .all(|(key, value)| object["metadata"]["labels"][key] == value)
    })
}

/// Maps are owned field by field, lists as a whole.
fn flatten(value: &Value, path: &str, fields: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                flatten(
                    value,
                    &format!("{path}/{}", key.replace('~', "~0").replace('/', "~1")),
                    fields,
                );
            }
        }
        leaf => {
            // The uid identifies the object. It is not a field that is applied.
            if path != "/metadata/uid" {
                fields.insert(path.to_owned(), leaf.clone());
            }
        }
    }
}

/// Writes the applied fields into the object, removes fields that the manager no longer applies, and updates ownership.
fn merge(
    value: &mut Value,
    fields: &BTreeMap<String, Value>,
    applied: &mut HashMap<String, BTreeMap<String, Value>>,
    manager: &str,
) {
    for (other, owned) in applied.iter_mut() {
        if other != manager {
            owned.retain(|path, _| {
                fields
                    .get(path)
                    .is_none_or(|wanted| at(value, path) == Some(wanted))
            });
        }
    }
    let before = applied.remove(manager).unwrap_or_default();
    for path in before.keys().filter(|path| !fields.contains_key(*path)) {
        if !applied.values().any(|owned| owned.contains_key(path)) {
            remove(value, path);
        }
    }
    for (path, wanted) in fields {
        set(value, path, wanted.clone());
    }
}

/// The rejection of an apply that would take these fields from their managers.
fn conflict(conflicts: Vec<(String, String)>) -> Rejection {
    let managers: Vec<String> = conflicts
        .iter()
        .map(|(manager, field)| format!("conflict with \"{manager}\": {field}"))
        .collect();
    let (count, all) = (conflicts.len(), managers.join(", "));
    let message = format!("Apply failed with {count} conflict: {all}");
    Rejection {
        conflicts: conflicts.into_iter().map(|(_, field)| field).collect(),
        ..rejection(409, "Conflict", message)
    }
}

/// Returns the manager and path of each field that another manager owns with another value.
fn conflicts(
    fields: &BTreeMap<String, Value>,
    applied: &HashMap<String, BTreeMap<String, Value>>,
    live: &Value,
    manager: &str,
) -> Vec<(String, String)> {
    let others = || applied.iter().filter(|(other, _)| *other != manager);
    let differing = fields
        .iter()
        .filter(|(path, wanted)| at(live, path).is_some_and(|live| live != *wanted));
    differing
        .filter_map(|(path, _)| {
            let (other, _) = others().find(|(_, owned)| owned.contains_key(path))?;
            Some((other.clone(), path.replace('/', ".")))
        })
        .collect()
}

fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    value.pointer(path)
}

fn set(value: &mut Value, path: &str, wanted: Value) {
    let mut here = value;
    for part in path.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        if !here.is_object() {
            *here = Value::Object(Map::new());
        }
        here = &mut here[part];
    }
    *here = wanted;
}

fn remove(value: &mut Value, path: &str) {
    let (parent, field) = path.rsplit_once('/').unwrap_or_default();
    let field = field.replace("~1", "/").replace("~0", "~");
    if let Some(Value::Object(parent)) = value.pointer_mut(parent) {
        parent.remove(&field);
    }
}

/// Validates the fields of Jobs and Secrets that a launcher can set wrongly.
fn validate(resource: &str, before: Option<&Value>, after: &Value) -> Result<(), Rejection> {
    let name = after["metadata"]["name"].as_str().unwrap_or_default();
    let invalid = |reason: &str| {
        Err(rejection(
            422,
            "Invalid",
            format!("{resource} \"{name}\" is invalid: {reason}"),
        ))
    };
    match resource {
        "jobs" => {
            const KNOWN: [&str; 10] = [
                "backoffLimit",
                "completions",
                "parallelism",
                "completionMode",
                "podReplacementPolicy",
                "activeDeadlineSeconds",
                "ttlSecondsAfterFinished",
                "podFailurePolicy",
                "template",
                "suspend",
            ];
            let spec = after["spec"].as_object().cloned().unwrap_or_default();
            if let Some(unknown) = spec.keys().find(|key| !KNOWN.contains(&key.as_str())) {
                return Err(rejection(
                    400,
                    "BadRequest",
                    format!("strict decoding error: unknown field \"spec.{unknown}\""),
                ));
            }
            let pod = &after["spec"]["template"]["spec"];
            if pod["restartPolicy"] != "Never"
                || pod["containers"].as_array().is_none_or(Vec::is_empty)
            {
                return invalid("spec.template.spec.containers: Required value");
            }
            if before.is_some_and(|before| before["spec"]["template"] != after["spec"]["template"])
            {
                return invalid("spec.template: Invalid value: field is immutable");
            }
        }
        "secrets" => {
            let frozen = before.filter(|before| before["immutable"] == true);
            if frozen.is_some_and(|before| before["data"] != after["data"]) {
                return invalid("data: Forbidden: field is immutable when `immutable` is set");
            }
        }
        _ => {}
    }
    Ok(())
}
