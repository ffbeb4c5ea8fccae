//! A fake Kubernetes: an API server with a Job controller, a kubelet and a garbage collector, as far as launches need them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::github::Github;
pub use crate::kube_store::NAMESPACE;
use crate::kube_store::{Store, now};

/// How a pod behaves after its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodBehavior {
    /// The test changes the pod.
    Manual,
    /// It exits with this code at once.
    Exits(u8),
}

/// A right: group, resource (with its subresource), verb.
pub type Right = (String, String, String);

/// A container's log.
#[derive(Default)]
pub(super) struct Log {
    pub(super) lines: Vec<(String, String)>,
    pub(super) ended: bool,
    pub(super) readers: Vec<mpsc::UnboundedSender<Result<Vec<u8>, ()>>>,
    /// The next connections break after these numbers of bytes.
    pub(super) breaks: Vec<usize>,
}

pub(super) struct State {
    pub(super) store: Store,
    pod_behavior: PodBehavior,
    pub(super) rights: Option<Vec<Right>>,
    pub(super) logs: BTreeMap<(String, String), Log>,
    /// Each start of a pod: the Job's name and the credential that was mounted.
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
            pod_behavior: PodBehavior::Manual,
            rights: None,
            logs: BTreeMap::new(),
            starts: Vec::new(),
        };
        Self {
            state: Mutex::new(state),
            github,
        }
    }

    pub(super) fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap())
    }

    pub fn set_pod_behavior(&self, behavior: PodBehavior) {
        self.with(|state| state.pod_behavior = behavior);
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

    /// Ends all watches, and rejects their continuation as expired.
    pub fn expire_watches(&self) {
        self.with(|state| {
            // This only increments the version.
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

    /// Returns the name of a Job's pod.
    pub fn pod_of(job: &str) -> String {
        format!("{job}-x7k2p")
    }

    /// Sets the containers of the runner and the builder to running.
    pub fn run(&self, job: &str) {
        self.update("pods", &Self::pod_of(job), |pod| {
            pod["status"]["phase"] = "Running".into();
            pod["status"]["containerStatuses"] =
                json!([status("runner", &json!({"running": {"startedAt": now()}}))]);
            pod["status"]["initContainerStatuses"] =
                json!([status("builder", &json!({"running": {"startedAt": now()}}))]);
        });
    }

    /// Ends the runner's container and the Job.
    pub fn finish(&self, job: &str, code: u8, message: &str) {
        let ended = json!({"terminated": {"exitCode": code, "reason": if code == 0 { "Completed" } else { "Error" }, "message": message}});
        let clean = json!({"terminated": {"exitCode": 0, "reason": "Completed"}});
        self.update("pods", &Self::pod_of(job), |pod| {
            pod["status"]["phase"] = if code == 0 { "Succeeded" } else { "Failed" }.into();
            pod["status"]["containerStatuses"] = json!([status("runner", &ended)]);
            pod["status"]["initContainerStatuses"] = json!([status("builder", &clean)]);
        });
        let started = self.starts().into_iter().filter(|(of, _)| of == job);
        started.for_each(|(_, config)| self.github.finish_job(&config));
        let (kind, reason) = if code == 0 {
            ("Complete", "CompletionsReached")
        } else {
            ("Failed", "BackoffLimitExceeded")
        };
        self.end_job(job, kind, reason);
    }

    /// Ends the Job, but not its pod.
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

    /// Breaks the next connections to a log after these numbers of bytes.
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
                log.ended = true;
                log.readers.clear();
            }
        });
    }

    /// Creates the pod of a started Job, as the Job controller does, and starts it.
    pub(super) fn control(&self, name: &str) {
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

    /// Starts a pod as a kubelet and a runner do. Without its Secret the pod does not start. Without its registration the
    /// runner fails.
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
            self.finish(name, 1, "the runner is not registered");
            return;
        }
        if let PodBehavior::Exits(code) = self.with(|state| state.pod_behavior) {
            self.finish(name, code, &report(code));
        }
    }
}

/// Returns the termination message that a supervisor writes.
pub fn report(code: u8) -> String {
    let reason = if code == 0 { "completed" } else { "failed" };
    json!({"schema": "ci-cd-agents.report/v1", "version": "0.1.0", "flavor": "github", "reason": reason, "exit_code": code,
        "failed_step": null, "message": null, "runner": null, "storage_driver": "overlay", "found": null, "wiped": null, "steps": []})
    .to_string()
}

fn status(name: &str, state: &Value) -> Value {
    json!({"name": name, "image": "x", "imageID": "x", "ready": false, "restartCount": 0, "state": state})
}
