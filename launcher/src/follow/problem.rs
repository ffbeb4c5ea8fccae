//! Problems that keep a job from running, each with its remedy: from events, and from the states of a pod's containers.

mod remedies;

use k8s_openapi::api::core::v1::Event;
use serde::Serialize;

use super::state::{Container, PodState};
use remedies::Remedy;

/// The greatest length of Kubernetes' message, in characters. Some messages contain a complete log.
const MESSAGE_LIMIT: usize = 400;

/// A problem that keeps a job from running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Kubernetes' name for the problem, as in `FailedScheduling`.
    pub reason: String,
    /// Kubernetes' message.
    pub message: String,
    /// What the user has to change.
    pub remedy: String,
    /// Whether the problem will not pass by itself.
    pub permanent: bool,
    /// Whether the remedy refers to Kubernetes' message, so that each message is worth showing.
    #[serde(skip)]
    points_at_message: bool,
}

impl Problem {
    fn new(reason: &str, message: &str, remedy: Remedy) -> Self {
        Self {
            reason: reason.to_owned(),
            message: shorten(message),
            remedy: remedy.text.into_owned(),
            permanent: remedy.permanent,
            points_at_message: remedy.points_at_message,
        }
    }

    /// Returns whether this problem tells the user no more than `other`. The kubelet reports a failed pull in three ways,
    /// and the scheduler counts the nodes anew each time.
    pub(super) fn is_repetition_of(&self, other: &Self) -> bool {
        self.remedy == other.remedy && (self.message == other.message || !self.points_at_message)
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let message = self.message.trim_end_matches('.');
        write!(f, "{}: {message}. {}", self.reason, self.remedy)
    }
}

/// Returns the problem that an event reports, or `None` if the event is harmless.
pub(super) fn of_event(event: &Event) -> Option<Problem> {
    let reason = event.reason.as_deref().unwrap_or_default();
    let message = event.message.as_deref().unwrap_or_default();
    problem(reason, message)
}

/// Returns the problems in a pod's state. Events may have been missed.
pub(super) fn of_pod(pod: &PodState) -> Vec<Problem> {
    let of_pod = pod.reason.as_deref().zip(pod.message.as_deref());
    let waiting = pod
        .containers
        .iter()
        .filter_map(|container| container.waiting.as_ref());
    let waiting = waiting.map(|(reason, message)| (reason.as_str(), message.as_str()));
    let named = of_pod
        .into_iter()
        .chain(waiting)
        .filter_map(|(reason, message)| problem(reason, message));
    named
        .chain(pod.containers.iter().filter_map(out_of_memory))
        .collect()
}

fn problem(reason: &str, message: &str) -> Option<Problem> {
    let remedy = remedies::find(reason, message)?;
    Some(Problem::new(reason, message, remedy))
}

fn out_of_memory(container: &Container) -> Option<Problem> {
    let terminations = [&container.terminated, &container.last_terminated];
    terminations
        .into_iter()
        .flatten()
        .find(|terminated| terminated.reason == "OOMKilled")?;
    let name = &container.name;
    let limit = container.memory_limit.as_deref();
    let of = limit.map_or_else(String::new, |limit| format!(" of {limit}"));
    let message = format!(
        "the container \"{name}\" used more memory than its limit{of}, so the kernel killed processes in it"
    );
    Some(Problem::new(
        "OOMKilled",
        &message,
        remedies::out_of_memory(name, limit),
    ))
}

fn shorten(message: &str) -> String {
    let line: String = message.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= MESSAGE_LIMIT {
        return line;
    }
    line.chars().take(MESSAGE_LIMIT).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::super::state::Termination;
    use super::*;

    #[test]
    fn every_problem_has_its_remedy() {
        for (reason, message, remedy) in [
            (
                "FailedScheduling",
                "0/3 nodes are available: 3 Insufficient cpu.",
                "resources.requests",
            ),
            (
                "FailedScheduling",
                "1 node(s) had untolerated taint {x: }",
                "toleration",
            ),
            (
                "FailedScheduling",
                "didn't match Pod's node affinity/selector",
                "nodeSelector",
            ),
            (
                "FailedScheduling",
                "pod has unbound immediate PersistentVolumeClaims",
                "storage class",
            ),
            (
                "ErrImagePull",
                "pull access denied, authorization failed",
                "imagePullSecrets",
            ),
            (
                "Failed",
                "Failed to pull image \"x\": manifest unknown",
                "--registry",
            ),
            ("ErrImagePull", "dial tcp: lookup x: no such host", "reach"),
            (
                "ErrImagePull",
                "x509: certificate signed by unknown authority",
                "authority",
            ),
            ("InvalidImageName", "couldn't parse", "--tag"),
            (
                "FailedMount",
                "MountVolume.SetUp failed for volume \"x\" : secret \"y\" not found",
                "--secret",
            ),
            (
                "CreateContainerError",
                "cannot load seccomp profile \"/var/lib/kubelet/seccomp/buildah.json\"",
                "buildah.json",
            ),
            (
                "Failed",
                "Error: failed to create containerd container: apparmor profile not found",
                "AppArmor",
            ),
            (
                "CreateContainerConfigError",
                "secret \"x\" not found",
                "Secret",
            ),
            (
                "FailedCreatePodSandBox",
                "runtime does not support userns",
                "--profile rootless",
            ),
            (
                "Evicted",
                "Usage of EmptyDir volume \"workspace\" exceeds the limit; ephemeral",
                "sizeLimit",
            ),
            (
                "Evicted",
                "The node was low on resource: memory.",
                "requests.memory",
            ),
            (
                "FailedCreate",
                "pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\"",
                "enforce=baseline",
            ),
            (
                "FailedCreate",
                "error looking up service account ci/runner: serviceaccount \"runner\" not found",
                "render",
            ),
            ("FailedCreate", "exceeded quota: q", "quota"),
            (
                "FailedCreate",
                "admission webhook \"x\" denied the request: no",
                "policy",
            ),
            ("Preempted", "Preempted by pod x", "launch it again"),
            (
                "DeadlineExceeded",
                "Job was active longer than specified deadline",
                "activeDeadlineSeconds",
            ),
        ] {
            let found = problem(reason, message).unwrap_or_else(|| panic!("{reason}: {message}"));
            assert!(found.remedy.contains(remedy), "{found}");
        }
    }

    #[test]
    fn harmless_reasons_are_ignored() {
        for (reason, message) in [
            ("Scheduled", "assigned"),
            ("Pulling", "image"),
            ("Started", "container"),
            ("ContainerCreating", ""),
            ("PodInitializing", ""),
            ("SuccessfulCreate", ""),
            ("BackOff", "Back-off pulling image \"x\""),
            ("Failed", "Error: ErrImagePull"),
            ("ImagePullBackOff", "Back-off pulling image \"x\""),
        ] {
            assert_eq!(problem(reason, message), None, "{reason}");
        }
    }

    #[test]
    fn waiting_and_killed_containers_are_problems() {
        let waiting = Container {
            name: "runner".to_owned(),
            waiting: Some(("ErrImageNeverPull".to_owned(), "not present".to_owned())),
            ..Container::default()
        };
        let killed = Container {
            name: "builder".to_owned(),
            memory_limit: Some("1Gi".to_owned()),
            last_terminated: Some(Termination {
                reason: "OOMKilled".to_owned(),
                ..Termination::default()
            }),
            ..Container::default()
        };
        let state = PodState {
            containers: vec![waiting, killed],
            ..PodState::default()
        };
        let found = of_pod(&state);
        assert_eq!(found.len(), 2);
        assert!(found[1].message.contains("limit of 1Gi"), "{found:?}");
        assert!(
            found[1].remedy.contains("to 1536Mi for example"),
            "{found:?}"
        );
        assert!(
            found[0].permanent && found[1].message.contains("builder"),
            "{found:?}"
        );
    }

    #[test]
    fn repeated_problems_are_recognised() {
        let of = |reason: &str, message: &str| problem(reason, message).unwrap();
        let pull = of("ErrImagePull", "failed to do request: connection refused");
        let back_off = of(
            "ImagePullBackOff",
            "Back-off pulling image \"x\": ErrImagePull: failed to do request: connection refused",
        );
        assert!(back_off.is_repetition_of(&pull));
        let cpu = of(
            "FailedScheduling",
            "0/3 nodes are available: 3 Insufficient cpu.",
        );
        assert!(
            of(
                "FailedScheduling",
                "0/4 nodes are available: 4 Insufficient cpu."
            )
            .is_repetition_of(&cpu)
        );
        let one = of("CreateContainerError", "one thing");
        assert!(
            !of("CreateContainerError", "another").is_repetition_of(&one)
                && !pull.is_repetition_of(&cpu)
        );
    }

    #[test]
    fn long_messages_are_cut() {
        let long = "ä\n".repeat(1000);
        assert!(
            problem("FailedMount", &long)
                .unwrap()
                .message
                .chars()
                .count()
                <= 401
        );
    }
}
