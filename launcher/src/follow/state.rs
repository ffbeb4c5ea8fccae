//! What is kept of a Job and its pod: no more than decisions are made of.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt;

/// A Job.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JobState {
    /// Its uid.
    pub uid: String,
    /// Waiting to be started, by the launcher or by Kueue.
    pub suspended: bool,
    /// How it ended: nothing, or whether it succeeded.
    pub succeeded: Option<bool>,
    /// Why it failed, as Kubernetes names it.
    pub reason: Option<String>,
    /// Kubernetes' words for that.
    pub message: Option<String>,
    /// It is not there any more.
    pub removed: bool,
}

/// A pod.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PodState {
    /// Its uid.
    pub uid: String,
    /// Its name.
    pub name: String,
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    pub phase: String,
    /// Its node.
    pub node: Option<String>,
    /// Why the pod as a whole failed, as in `Evicted`.
    pub reason: Option<String>,
    /// Kubernetes' words for that.
    pub message: Option<String>,
    /// All containers, those of the start first.
    pub containers: Vec<Container>,
    /// It is not there any more.
    pub removed: bool,
}

/// A container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Whether it runs now.
    pub running: bool,
    /// Why it waits: reason and message.
    pub waiting: Option<(String, String)>,
    /// How it ended.
    pub ended: Option<Ended>,
    /// How its run before this one ended.
    pub ended_before: Option<Ended>,
}

/// A container's end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code, 128+n for a signal.
    pub code: i32,
    /// `Completed`, `Error`, `OOMKilled`, `ContainerCannotRun`, …
    pub reason: String,
    /// What it left at its `terminationMessagePath`.
    pub message: String,
}

impl JobState {
    pub(super) fn of(job: &Job) -> Self {
        let status = job.status.as_ref();
        let conditions = status
            .and_then(|status| status.conditions.as_deref())
            .unwrap_or_default();
        let holds = |kind: &str| {
            conditions
                .iter()
                .find(|condition| condition.type_ == kind && condition.status == "True")
        };
        let failed = holds("Failed");
        let succeeded = match (holds("Complete"), failed) {
            (_, Some(_)) => Some(false),
            (Some(_), None) => Some(true),
            (None, None) => None,
        };
        Self {
            uid: job.uid().unwrap_or_default(),
            suspended: job
                .spec
                .as_ref()
                .and_then(|spec| spec.suspend)
                .unwrap_or(false),
            succeeded,
            reason: failed.and_then(|condition| condition.reason.clone()),
            message: failed.and_then(|condition| condition.message.clone()),
            removed: false,
        }
    }
}

impl PodState {
    pub(super) fn of(pod: &Pod) -> Self {
        let status = pod.status.as_ref();
        let lists = status.map(|s| [&s.init_container_statuses, &s.container_statuses]);
        let containers = lists
            .into_iter()
            .flatten()
            .flatten()
            .flatten()
            .map(container)
            .collect();
        Self {
            uid: pod.uid().unwrap_or_default(),
            name: pod.name_any(),
            phase: status
                .and_then(|status| status.phase.clone())
                .unwrap_or_default(),
            node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
            reason: status.and_then(|status| status.reason.clone()),
            message: status.and_then(|status| status.message.clone()),
            containers,
            removed: false,
        }
    }

    /// A container by its name.
    #[must_use]
    pub fn container(&self, name: &str) -> Option<&Container> {
        self.containers
            .iter()
            .find(|container| container.name == name)
    }

    /// Whether nothing of it will change any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.removed || matches!(self.phase.as_str(), "Succeeded" | "Failed")
    }
}

impl Container {
    /// Whether it has a log.
    #[must_use]
    pub fn has_started(&self) -> bool {
        self.running || self.ended.is_some()
    }
}

fn container(status: &ContainerStatus) -> Container {
    let state = status.state.as_ref();
    let waiting = state
        .and_then(|state| state.waiting.as_ref())
        .map(|waiting| {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            (text(&waiting.reason), text(&waiting.message))
        });
    Container {
        name: status.name.clone(),
        running: state.is_some_and(|state| state.running.is_some()),
        waiting,
        ended: state.and_then(ended),
        ended_before: status.last_state.as_ref().and_then(ended),
    }
}

fn ended(state: &k8s_openapi::api::core::v1::ContainerState) -> Option<Ended> {
    let terminated = state.terminated.as_ref()?;
    Some(Ended {
        code: terminated.exit_code,
        reason: terminated.reason.clone().unwrap_or_default(),
        message: terminated.message.clone().unwrap_or_default(),
    })
}
