//! The fake API server's requests: authorization, server-side apply, lists, watches and logs.

use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::kube::{Kube, NAMESPACE};
use crate::rejection::{Rejection, rejection};
use crate::server::{Content, Reply, Request};

/// The parts of a request's path, and its verb.
struct Route<'a> {
    group: &'static str,
    namespace: &'a str,
    resource: &'a str,
    name: Option<&'a str>,
    subresource: Option<&'a str>,
    verb: &'static str,
}

impl<'a> Route<'a> {
    fn of(request: &'a Request) -> Result<Self, Rejection> {
        let path = request.path.as_str();
        let not_found = || {
            let message = format!("the server could not find the requested resource {path}");
            rejection(404, "NotFound", message)
        };
        let core = path.strip_prefix("/api/v1/namespaces/");
        let batch = path.strip_prefix("/apis/batch/v1/namespaces/");
        let core = core.map(|rest| ("", rest));
        let (group, rest) = core
            .or(batch.map(|rest| ("batch", rest)))
            .ok_or_else(not_found)?;
        let parts: Vec<&str> = rest.split('/').collect();
        let [namespace, resource, rest @ ..] = parts.as_slice() else {
            return Err(not_found());
        };
        let known = matches!(
            (group, *resource),
            ("batch", "jobs") | ("", "secrets" | "pods" | "events")
        );
        if !known {
            return Err(not_found());
        }
        let name = rest.first().copied();
        let watch = request
            .query
            .get("watch")
            .is_some_and(|watch| watch == "true");
        let verb = match (request.method.as_str(), name, watch) {
            ("GET", None, true) => "watch",
            ("GET", None, false) => "list",
            ("GET", Some(_), _) => "get",
            ("PATCH", Some(_), _) => "patch",
            ("DELETE", Some(_), _) => "delete",
            _ => {
                let message = "no such method".to_owned();
                return Err(rejection(405, "MethodNotAllowed", message));
            }
        };
        Ok(Self {
            group,
            namespace,
            resource,
            name,
            subresource: rest.get(1).copied(),
            verb,
        })
    }

    fn full_resource(&self) -> String {
        match self.subresource {
            Some(subresource) => format!("{}/{subresource}", self.resource),
            None => self.resource.to_owned(),
        }
    }
}

/// Checks a server-side apply. Returns its field manager and its object.
fn apply_request<'a>(request: &'a Request, name: &str) -> Result<(&'a str, Value), Rejection> {
    if request.header("content-type") != "application/apply-patch+yaml" {
        let message = "only server-side apply is expected here".to_owned();
        return Err(rejection(415, "UnsupportedMediaType", message));
    }
    let bad = |message: &str| rejection(400, "BadRequest", message.to_owned());
    let query = |key: &str| request.query.get(key).map(String::as_str);
    let manager =
        query("fieldManager").ok_or_else(|| bad("fieldManager is required for apply patch"))?;
    if query("fieldValidation") != Some("Strict") {
        return Err(bad(
            "without fieldValidation=Strict, unknown fields are dropped",
        ));
    }
    let config = request.json();
    let metadata = &config["metadata"];
    if metadata["name"] != name || metadata["namespace"] != NAMESPACE || !config["kind"].is_string()
    {
        return Err(bad("the object differs from the one in the path"));
    }
    Ok((manager, config))
}

impl Kube {
    pub fn respond(&self, request: &Request) -> Reply {
        self.handle(request)
            .unwrap_or_else(|rejection| Reply::json(rejection.code, &rejection.status()))
    }

    fn handle(&self, request: &Request) -> Result<Reply, Rejection> {
        let route = Route::of(request)?;
        self.authorize(route.group, &route.full_resource(), route.verb)?;
        if route.namespace != NAMESPACE {
            let message = format!("namespaces \"{}\" not found", route.namespace);
            return Err(rejection(404, "NotFound", message));
        }
        let (resource, name) = (route.resource, route.name.unwrap_or_default());
        match (route.verb, route.subresource) {
            ("get", Some("log")) => self.read_log(request, name),
            ("get", _) => {
                let missing =
                    || rejection(404, "NotFound", format!("{resource} \"{name}\" not found"));
                let object = self.get(resource, name).ok_or_else(missing)?;
                let object = reduced(request, object, "PartialObjectMetadata");
                Ok(Reply::json(200, &object))
            }
            ("list", _) => Ok(self.list_reply(request, route.group, resource)),
            ("watch", _) => self.watch(request, resource),
            ("patch", _) => self.patch(request, route.group, resource, name),
            _ => {
                let options = request.json();
                let uid = options["preconditions"]["uid"].as_str();
                let deleted = self.with(|state| state.store.delete(resource, name, uid))?;
                Ok(Reply::json(
                    200,
                    &json!({"kind": "Status", "apiVersion": "v1", "status": "Success", "details": {"uid": deleted["metadata"]["uid"]}}),
                ))
            }
        }
    }

    fn authorize(&self, group: &str, resource: &str, verb: &str) -> Result<(), Rejection> {
        let right = (group.to_owned(), resource.to_owned(), verb.to_owned());
        let allowed = self.with(|state| {
            state
                .rights
                .as_ref()
                .is_none_or(|rights| rights.contains(&right))
        });
        if allowed {
            return Ok(());
        }
        Err(rejection(
            403,
            "Forbidden",
            format!(
                "{resource} is forbidden: User \"launcher\" cannot {verb} resource \"{resource}\" in API group \"{group}\""
            ),
        ))
    }

    fn patch(
        &self,
        request: &Request,
        group: &str,
        resource: &str,
        name: &str,
    ) -> Result<Reply, Rejection> {
        let (manager, config) = apply_request(request, name)?;
        // A missing object is created.
        if self.get(resource, name).is_none() {
            self.authorize(group, resource, "create")?;
        }
        let force = request
            .query
            .get("force")
            .is_some_and(|force| force == "true");
        let applied = self.with(|state| {
            let applied = state.store.apply(resource, &config, manager, force);
            // The owner may have been deleted already.
            if config["metadata"].get("ownerReferences").is_some() {
                state.store.collect_garbage();
            }
            applied
        })?;
        if resource == "jobs" {
            self.control(name);
        }
        Ok(Reply::json(200, &applied))
    }

    fn list_reply(&self, request: &Request, group: &str, resource: &str) -> Reply {
        let selector = request.query.get("labelSelector").map(String::as_str);
        let (items, version) =
            self.with(|state| (state.store.list(resource, selector), state.store.version()));
        let version = version.to_string();
        let api = if group.is_empty() { "v1" } else { "batch/v1" };
        let list = json!({"kind": "List", "apiVersion": api, "metadata": {"resourceVersion": version}, "items": items});
        Reply::json(200, &reduced(request, list, "PartialObjectMetadataList"))
    }

    fn watch(&self, request: &Request, resource: &str) -> Result<Reply, Rejection> {
        let selector = request.query.get("labelSelector").cloned();
        let since = request
            .query
            .get("resourceVersion")
            .and_then(|version| version.parse().ok())
            .unwrap_or_default();
        match self.with(|state| state.store.watch(resource, selector, since)) {
            Ok(receiver) => Ok(Reply {
                status: 200,
                headers: Vec::new(),
                content: Content::Stream(receiver),
            }),
            // An expired version is an event within the watch.
            Err(rejection) => {
                let event = format!(
                    "{}\n",
                    json!({"type": "ERROR", "object": rejection.status()})
                );
                Ok(Reply {
                    status: 200,
                    headers: Vec::new(),
                    content: Content::Whole(event.into_bytes()),
                })
            }
        }
    }

    fn read_log(&self, request: &Request, pod: &str) -> Result<Reply, Rejection> {
        let container = request.query.get("container").cloned().unwrap_or_default();
        let since = request
            .query
            .get("sinceTime")
            .and_then(|time| time.parse::<jiff::Timestamp>().ok());
        if request
            .query
            .get("timestamps")
            .is_none_or(|times| times != "true")
        {
            return Err(rejection(
                400,
                "BadRequest",
                "without timestamps, a log cannot be resumed".to_owned(),
            ));
        }
        let (sender, receiver) = mpsc::unbounded_channel();
        self.with(|state| {
            let log = state.logs.entry((pod.to_owned(), container)).or_default();
            let mut text = String::new();
            for (time, line) in &log.lines {
                if since.is_none_or(|since| time.parse::<jiff::Timestamp>().unwrap() >= since) {
                    text.push_str(&format!("{time} {line}\n"));
                }
            }
            let mut text = text.into_bytes();
            if !log.breaks.is_empty() {
                text.truncate(log.breaks.remove(0));
                let _ = sender.send(Ok(text));
                let _ = sender.send(Err(()));
                return;
            }
            let _ = sender.send(Ok(text));
            if !log.ended {
                log.readers.push(sender);
            }
        });
        Ok(Reply {
            status: 200,
            headers: Vec::new(),
            content: Content::Stream(receiver),
        })
    }
}

/// Returns only the metadata, if the request accepts PartialObjectMetadata.
fn reduced(request: &Request, mut object: Value, kind: &str) -> Value {
    if !request.header("accept").contains("PartialObjectMetadata") {
        return object;
    }
    let strip = |object: &mut Value| {
        *object = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]});
    };
    match object["items"].as_array_mut() {
        Some(items) => items.iter_mut().for_each(strip),
        None => strip(&mut object),
    }
    object["kind"] = kind.into();
    object["apiVersion"] = "meta.k8s.io/v1".into();
    object
}
