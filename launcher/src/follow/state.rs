//! The part of a Job's and a pod's status that the launcher uses.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};
use kube::ResourceExt;

/// The state of a Job.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JobState {
    /// The Job's uid.
    pub uid: String,
    /// Whether the Job waits for the launcher or Kueue to start it.
    pub suspended: bool,
    /// Whether the Job succeeded. `None` if it has not ended.
    pub succeeded: Option<bool>,
    /// Kubernetes' reason for the failure, as in `DeadlineExceeded`.
    pub reason: Option<String>,
    /// Kubernetes' message for that reason.
    pub message: Option<String>,
    /// Whether the object was deleted.
    pub deleted: bool,
}

/// The state of a pod.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PodState {
    /// The pod's uid.
    pub uid: String,
    /// The pod's name.
    pub name: String,
    /// The time at which the pod was created. `None` if the API server did not say it.
    pub created: Option<Timestamp>,
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    pub phase: String,
    /// The pod's node. `None` before it is scheduled.
    pub node: Option<String>,
    /// The reason why the whole pod failed, as in `Evicted`.
    pub reason: Option<String>,
    /// Kubernetes' message for that reason.
    pub message: Option<String>,
    /// All containers. The init containers come first.
    pub containers: Vec<Container>,
    /// Whether the object was deleted.
    pub deleted: bool,
}

/// The state of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Container {
    /// The container's name.
    pub name: String,
    /// Whether the container is running.
    pub running: bool,
    /// The reason and message if the container is waiting.
    pub waiting: Option<(String, String)>,
    /// The container's end, if it has ended.
    pub terminated: Option<Termination>,
    /// The end of the container's previous run, if it was restarted.
    pub last_terminated: Option<Termination>,
}

/// The end of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Termination {
    /// The exit code. It is 128+n if signal n killed the container.
    pub code: i32,
    /// `Completed`, `Error`, `OOMKilled`, `ContainerCannotRun`, …
    pub reason: String,
    /// The content of the file `terminationMessagePath`.
    pub message: String,
}

impl From<&Job> for JobState {
    fn from(job: &Job) -> Self {
        let status = job.status.as_ref();
        let conditions = status
            .and_then(|status| status.conditions.as_deref())
            .unwrap_or_default();
        let condition = |kind: &str| {
            conditions
                .iter()
                .find(|condition| condition.type_ == kind && condition.status == "True")
        };
        let failed = condition("Failed");
        let succeeded = match (condition("Complete"), failed) {
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
            deleted: false,
        }
    }
}

impl From<&Pod> for PodState {
    fn from(pod: &Pod) -> Self {
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
            created: pod.creation_timestamp().map(|time| time.0),
            phase: status
                .and_then(|status| status.phase.clone())
                .unwrap_or_default(),
            node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
            reason: status.and_then(|status| status.reason.clone()),
            message: status.and_then(|status| status.message.clone()),
            containers,
            deleted: false,
        }
    }
}

impl PodState {
    /// Returns whether this is an earlier pod of the Job than `other`. A Job replaces a pod that it does not count as failed.
    pub(super) fn is_replaced_by(&self, other: &Self) -> bool {
        self.uid != other.uid && self.created < other.created
    }

    /// Returns the container of this name.
    #[must_use]
    pub fn container(&self, name: &str) -> Option<&Container> {
        self.containers
            .iter()
            .find(|container| container.name == name)
    }

    /// Returns whether the pod has ended or was deleted, so that its state no longer changes.
    pub(crate) fn is_final(&self) -> bool {
        self.deleted || matches!(self.phase.as_str(), "Succeeded" | "Failed")
    }
}

impl Container {
    /// Returns whether the container has started, so that it has a log.
    pub(crate) fn has_started(&self) -> bool {
        self.running || self.terminated.is_some()
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
        terminated: state.and_then(termination),
        last_terminated: status.last_state.as_ref().and_then(termination),
    }
}

fn termination(state: &ContainerState) -> Option<Termination> {
    let terminated = state.terminated.as_ref()?;
    Some(Termination {
        code: terminated.exit_code,
        reason: terminated.reason.clone().unwrap_or_default(),
        message: terminated.message.clone().unwrap_or_default(),
    })
}
