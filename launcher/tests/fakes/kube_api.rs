//! The fake API server's requests: authorization, server-side apply, lists, watches and logs.

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::kube::{Kube, NAMESPACE};
use super::kube_store::{Rejection, rejection};
use super::server::{Content, Reply, Request};

impl Kube {
    pub fn respond(&self, request: &Request) -> Reply {
        self.handle(request)
            .unwrap_or_else(|rejection| Reply::json(rejection.code, &rejection.status()))
    }

    fn handle(&self, request: &Request) -> Result<Reply, Rejection> {
        let not_found = || {
            rejection(
                404,
                "NotFound",
                format!(
                    "the server could not find the requested resource {}",
                    request.path
                ),
            )
        };
        let (group, rest) = match (
            request.path.strip_prefix("/api/v1/namespaces/"),
            request.path.strip_prefix("/apis/batch/v1/namespaces/"),
        ) {
            (Some(rest), _) => ("", rest),
            (_, Some(rest)) => ("batch", rest),
            _ => return Err(not_found()),
        };
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
        let full = rest
            .get(1)
            .map_or_else(|| (*resource).to_owned(), |sub| format!("{resource}/{sub}"));
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
                return Err(rejection(
                    405,
                    "MethodNotAllowed",
                    "no such method".to_owned(),
                ));
            }
        };
        self.authorize(group, &full, verb)?;
        if *namespace != NAMESPACE {
            return Err(rejection(
                404,
                "NotFound",
                format!("namespaces \"{namespace}\" not found"),
            ));
        }
        let name = name.unwrap_or_default();
        match (verb, full.as_str()) {
            ("get", "pods/log") => self.read_log(request, name),
            ("get", _) => {
                let found = self.get(resource, name);
                let found = found.ok_or_else(|| {
                    rejection(404, "NotFound", format!("{resource} \"{name}\" not found"))
                })?;
                Ok(Reply::json(
                    200,
                    &reduced(request, found, "PartialObjectMetadata"),
                ))
            }
            ("list", _) => Ok(self.list_reply(request, group, resource)),
            ("watch", _) => self.watch(request, resource),
            ("patch", _) => self.patch(request, group, resource, name),
            _ => {
                let options = request.json();
                let uid = options["preconditions"]["uid"].as_str();
                let gone = self.with(|state| state.store.delete(resource, name, uid))?;
                Ok(Reply::json(
                    200,
                    &json!({"kind": "Status", "apiVersion": "v1", "status": "Success", "details": {"uid": gone["metadata"]["uid"]}}),
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
        if request.header("content-type") != "application/apply-patch+yaml" {
            return Err(rejection(
                415,
                "UnsupportedMediaType",
                "only server-side apply is expected here".to_owned(),
            ));
        }
        let manager = request.query.get("fieldManager");
        let manager = manager.ok_or_else(|| {
            rejection(
                400,
                "BadRequest",
                "fieldManager is required for apply patch".to_owned(),
            )
        })?;
        if request
            .query
            .get("fieldValidation")
            .is_none_or(|validation| validation != "Strict")
        {
            return Err(rejection(
                400,
                "BadRequest",
                "without fieldValidation=Strict, unknown fields are dropped".to_owned(),
            ));
        }
        let config = request.json();
        if config["metadata"]["name"] != name
            || config["metadata"]["namespace"] != NAMESPACE
            || !config["kind"].is_string()
        {
            return Err(rejection(
                400,
                "BadRequest",
                "the object differs from the one in the path".to_owned(),
            ));
        }
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
