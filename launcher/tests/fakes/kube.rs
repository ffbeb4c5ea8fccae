//! Kubernetes: an API server, with a Job controller, a kubelet and the garbage collector as far as a launch meets them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::github::Github;
pub use super::kube_store::NAMESPACE;
use super::kube_store::{Refusal, Store, now};
use super::server::{Content, Reply, Request};

/// What becomes of a pod by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// Nothing: the test says what happens.
    Stays,
    /// It ends with this code at once.
    Ends(u8),
}

/// A right: group, resource (with its subresource), verb.
pub type Right = (String, String, String);

/// A container's log.
#[derive(Default)]
struct Log {
    lines: Vec<(String, String)>,
    over: bool,
    readers: Vec<mpsc::UnboundedSender<Result<Vec<u8>, ()>>>,
    /// The next connections break after so many bytes.
    breaks: Vec<usize>,
}

struct State {
    store: Store,
    course: Course,
    rights: Option<Vec<Right>>,
    logs: BTreeMap<(String, String), Log>,
    /// Each start of a pod: the Job's name and the credential it was given.
    starts: Vec<(String, String)>,
}

pub struct Kube {
    state: Mutex<State>,
    github: Arc<Github>,
}

impl Kube {
    pub fn new(github: Arc<Github>) -> Self {
        let state = State {
            store: Store::default(),
            course: Course::Stays,
            rights: None,
            logs: BTreeMap::new(),
            starts: Vec::new(),
        };
        Self {
            state: Mutex::new(state),
            github,
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap())
    }

    pub fn course(&self, course: Course) {
        self.with(|state| state.course = course);
    }

    pub fn rights(&self, rights: Vec<Right>) {
        self.with(|state| state.rights = Some(rights));
    }

    pub fn list(&self, resource: &str) -> Vec<Value> {
        self.with(|state| state.store.list(resource, None))
    }

    pub fn get(&self, resource: &str, name: &str) -> Option<Value> {
        self.with(|state| state.store.get(resource, name).cloned())
    }

    pub fn starts(&self) -> Vec<(String, String)> {
        self.with(|state| state.starts.clone())
    }

    pub fn update(&self, resource: &str, name: &str, change: impl FnOnce(&mut Value)) {
        self.with(|state| state.store.update(resource, name, change));
        if resource == "jobs" {
            self.control(name);
        }
    }

    pub fn delete(&self, resource: &str, name: &str) {
        self.with(|state| state.store.delete(resource, name, None))
            .unwrap();
    }

    pub fn end_watches(&self, cut: bool) {
        self.with(|state| state.store.end_watches(cut));
    }

    /// Ends all watches, and has none begin where it left off.
    pub fn expire_watches(&self) {
        self.with(|state| {
            // What is changed by nobody moves the version on.
            state.store.update("configmaps", "clock", |_| {});
            state.store.expired = state.store.version();
            state.store.end_watches(false);
        });
    }

    pub fn event(&self, kind: &str, name: &str, reason: &str, message: &str) {
        let event = format!("{name}.{}", self.with(|state| state.store.version()));
        let about = self.get(&format!("{}s", kind.to_lowercase()), name);
        let uid = about.map(|about| about["metadata"]["uid"].clone());
        self.update("events", &event, |event| {
            event["involvedObject"] =
                json!({"kind": kind, "name": name, "namespace": NAMESPACE, "uid": uid});
            event["reason"] = reason.into();
            event["message"] = message.into();
            event["type"] = "Warning".into();
        });
    }

    /// The pod of a Job.
    pub fn pod_of(job: &str) -> String {
        format!("{job}-x7k2p")
    }

    /// The runner's container runs, and its builder.
    pub fn run(&self, job: &str) {
        self.update("pods", &Self::pod_of(job), |pod| {
            pod["status"]["phase"] = "Running".into();
            pod["status"]["containerStatuses"] =
                json!([status("runner", &json!({"running": {"startedAt": now()}}))]);
            pod["status"]["initContainerStatuses"] =
                json!([status("builder", &json!({"running": {"startedAt": now()}}))]);
        });
    }

    /// The runner's container ends, and the Job with it.
    pub fn finish(&self, job: &str, code: u8, message: &str) {
        let ended = json!({"terminated": {"exitCode": code, "reason": if code == 0 { "Completed" } else { "Error" }, "message": message}});
        let clean = json!({"terminated": {"exitCode": 0, "reason": "Completed"}});
        self.update("pods", &Self::pod_of(job), |pod| {
            pod["status"]["phase"] = if code == 0 { "Succeeded" } else { "Failed" }.into();
            pod["status"]["containerStatuses"] = json!([status("runner", &ended)]);
            pod["status"]["initContainerStatuses"] = json!([status("builder", &clean)]);
        });
        let started = self.starts().into_iter().filter(|(of, _)| of == job);
        started.for_each(|(_, config)| self.github.done(&config));
        let (kind, reason) = if code == 0 {
            ("Complete", "CompletionsReached")
        } else {
            ("Failed", "BackoffLimitExceeded")
        };
        self.end_job(job, kind, reason);
    }

    /// The Job ends, whatever its pod does.
    pub fn end_job(&self, job: &str, kind: &str, reason: &str) {
        self.update("jobs", job, |job| {
            job["status"]["conditions"] = json!([{"type": kind, "status": "True", "reason": reason, "message": reason, "lastTransitionTime": now()}]);
        });
    }

    /// Writes a line into a container's log.
    pub fn log(&self, job: &str, container: &str, time: &str, text: &str) {
        self.with(|state| {
            let log = state
                .logs
                .entry((Self::pod_of(job), container.to_owned()))
                .or_default();
            log.lines.push((time.to_owned(), text.to_owned()));
            let line = format!("{time} {text}\n").into_bytes();
            log.readers
                .retain(|reader| reader.send(Ok(line.clone())).is_ok());
        });
    }

    /// The next connections to a log break after so many bytes each.
    pub fn break_log(&self, job: &str, container: &str, after: Vec<usize>) {
        self.with(|state| {
            let key = (Self::pod_of(job), container.to_owned());
            state.logs.entry(key).or_default().breaks = after;
        });
    }

    pub fn end_logs(&self, job: &str) {
        self.with(|state| {
            for container in ["runner", "builder"] {
                let log = state
                    .logs
                    .entry((Self::pod_of(job), container.to_owned()))
                    .or_default();
                log.over = true;
                log.readers.clear();
            }
        });
    }

    pub fn answer(&self, request: &Request) -> Reply {
        self.handle(request)
            .unwrap_or_else(|refusal| refuse(&refusal))
    }

    fn handle(&self, request: &Request) -> Result<Reply, Refusal> {
        let not_found = || {
            (
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
            _ => return Err((405, "MethodNotAllowed", "no such method".to_owned())),
        };
        self.authorize(group, &full, verb)?;
        if *namespace != NAMESPACE {
            return Err((
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
                let found = found
                    .ok_or_else(|| (404, "NotFound", format!("{resource} \"{name}\" not found")))?;
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

    fn authorize(&self, group: &str, resource: &str, verb: &str) -> Result<(), Refusal> {
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
        Err((
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
    ) -> Result<Reply, Refusal> {
        if request.header("content-type") != "application/apply-patch+yaml" {
            return Err((
                415,
                "UnsupportedMediaType",
                "only server-side apply is expected here".to_owned(),
            ));
        }
        let manager = request.query.get("fieldManager");
        let manager = manager.ok_or_else(|| {
            (
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
            return Err((
                400,
                "BadRequest",
                "what is not known would be dropped".to_owned(),
            ));
        }
        let config = request.json();
        if config["metadata"]["name"] != name
            || config["metadata"]["namespace"] != NAMESPACE
            || !config["kind"].is_string()
        {
            return Err((
                400,
                "BadRequest",
                "the object is not the one of the path".to_owned(),
            ));
        }
        // Apply makes what is not there.
        if self.get(resource, name).is_none() {
            self.authorize(group, resource, "create")?;
        }
        let force = request
            .query
            .get("force")
            .is_some_and(|force| force == "true");
        let applied = self.with(|state| {
            let applied = state.store.apply(resource, &config, manager, force);
            // An owner that is not there any more is none.
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

    fn watch(&self, request: &Request, resource: &str) -> Result<Reply, Refusal> {
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
            // A watch is told so within it.
            Err((code, reason, message)) => {
                let status = json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message});
                let event = format!("{}\n", json!({"type": "ERROR", "object": status}));
                Ok(Reply {
                    status: 200,
                    headers: Vec::new(),
                    content: Content::Whole(event.into_bytes()),
                })
            }
        }
    }

    fn read_log(&self, request: &Request, pod: &str) -> Result<Reply, Refusal> {
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
            return Err((
                400,
                "BadRequest",
                "a reader without times cannot go on where it was".to_owned(),
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
            if !log.over {
                log.readers.push(sender);
            }
        });
        Ok(Reply {
            status: 200,
            headers: Vec::new(),
            content: Content::Stream(receiver),
        })
    }

    /// Makes the pod of a Job that is started, as the Job controller does, and lets it run.
    fn control(&self, name: &str) {
        let Some(job) = self.get("jobs", name) else {
            return;
        };
        let pod = Self::pod_of(name);
        let waits = job["spec"]["suspend"] == true || !job["status"]["conditions"].is_null();
        if waits || self.get("pods", &pod).is_some() {
            return;
        }
        let (uid, template) = (job["metadata"]["uid"].clone(), &job["spec"]["template"]);
        let mut labels = template["metadata"]["labels"].clone();
        labels["batch.kubernetes.io/job-name"] = name.into();
        self.with(|state| {
            state.store.update("pods", &pod, |pod| {
                pod["metadata"]["uid"] = format!("pod-of-{uid}").into();
                pod["metadata"]["labels"] = labels;
                pod["metadata"]["ownerReferences"] =
                    json!([{"kind": "Job", "name": name, "uid": uid}]);
                pod["spec"] = template["spec"].clone();
                pod["spec"]["nodeName"] = "node-1".into();
                pod["status"]["phase"] = "Pending".into();
            });
        });
        self.start_pod(name, &job);
    }

    /// What a kubelet and a runner do: without its Secret the pod does not start, without its registration the runner fails.
    fn start_pod(&self, name: &str, job: &Value) {
        let volumes = job["spec"]["template"]["spec"]["volumes"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let volume = volumes
            .iter()
            .find(|volume| volume["name"] == "mounted-runner-secrets");
        let secret = volume
            .and_then(|volume| volume["secret"]["secretName"].as_str())
            .unwrap_or_default();
        let Some(found) = self.get("secrets", secret) else {
            self.event("Pod", &Self::pod_of(name), "FailedMount", &format!("MountVolume.SetUp failed for volume \"mounted-runner-secrets\" : secret \"{secret}\" not found"));
            return;
        };
        let data = found["data"].as_object().unwrap();
        let value = data
            .values()
            .next()
            .and_then(Value::as_str)
            .unwrap_or_default();
        let decoded = base64::engine::general_purpose::STANDARD
            .decode(value)
            .unwrap();
        let credential = String::from_utf8(decoded).unwrap();
        let github = data.contains_key("jitconfig");
        let known = !github || self.github.connect(&credential);
        self.with(|state| state.starts.push((name.to_owned(), credential)));
        if !known {
            self.finish(name, 1, "the runner's registration is gone");
            return;
        }
        if let Course::Ends(code) = self.with(|state| state.course) {
            self.finish(name, code, &report(code));
        }
    }
}

/// What the supervisor leaves at its end.
pub fn report(code: u8) -> String {
    let reason = if code == 0 { "completed" } else { "failed" };
    json!({"schema": "ci-cd-agents.report/v1", "version": "0.1.0", "flavor": "github", "reason": reason, "exit_code": code,
        "failed_step": null, "message": null, "runner": null, "storage_driver": "overlay", "found": null, "wiped": null, "steps": []})
    .to_string()
}

fn status(name: &str, state: &Value) -> Value {
    json!({"name": name, "image": "x", "imageID": "x", "ready": false, "restartCount": 0, "state": state})
}

/// Without the values, where that was asked for.
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

fn refuse((code, reason, message): &Refusal) -> Reply {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code, "reason": reason, "message": message});
    Reply::json(*code, &status)
}
