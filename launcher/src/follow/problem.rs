//! What stands in a job's way, as a sentence with its cure: from events, and from what a pod's containers wait for.

use k8s_openapi::api::core::v1::Event;
use serde::Serialize;

use super::state::{Container, PodState};

/// Something that stands in a job's way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// Kubernetes' name for it.
    pub reason: String,
    /// What happened, in Kubernetes' words.
    pub said: String,
    /// What to change.
    pub cure: String,
    /// Whether it will not pass by itself.
    pub lasting: bool,
}

impl Trouble {
    /// Whether somebody who was told of the other has nothing to learn from this one: the kubelet says the same of a pull
    /// in three ways, and the scheduler in other numbers of nodes. A cure that points at the words needs them.
    pub(super) fn says_the_same_as(&self, other: &Self) -> bool {
        self.cure == other.cure && (self.said == other.said || !self.cure.contains("words"))
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}: {}. {}",
            self.reason,
            self.said.trim_end_matches('.'),
            self.cure
        )
    }
}

/// What an event says, if it matters.
#[must_use]
pub fn event(event: &Event) -> Option<Trouble> {
    let reason = event.reason.as_deref().unwrap_or_default();
    let said = event.message.as_deref().unwrap_or_default();
    trouble(reason, said)
}

/// What a pod's state says that events may not.
pub(super) fn pod(pod: &PodState) -> Vec<Trouble> {
    let of_pod = pod.reason.as_deref().zip(pod.message.as_deref());
    let waiting = pod
        .containers
        .iter()
        .filter_map(|container| container.waiting.as_ref());
    let waiting = waiting.map(|(reason, said)| (reason.as_str(), said.as_str()));
    let named = of_pod
        .into_iter()
        .chain(waiting)
        .filter_map(|(reason, said)| trouble(reason, said));
    named
        .chain(pod.containers.iter().filter_map(out_of_memory))
        .collect()
}

fn out_of_memory(container: &Container) -> Option<Trouble> {
    let ends = [&container.ended, &container.ended_before];
    ends.into_iter()
        .flatten()
        .find(|ended| ended.reason == "OOMKilled")?;
    let name = &container.name;
    Some(Trouble {
        reason: "OOMKilled".to_owned(),
        said: format!("the container \"{name}\" used more memory than its limit"),
        cure: format!(
            "Raise resources.limits.memory of \"{name}\" with --patch; volumes in memory count too"
        ),
        lasting: false,
    })
}

/// A reason of Kubernetes' and what it said, if it stands in a job's way.
fn trouble(reason: &str, said: &str) -> Option<Trouble> {
    let (cure, lasting) = match reason {
        "FailedScheduling" => (scheduling(said), false),
        "ErrImagePull" | "ImagePullBackOff" => image(said)?,
        // It repeats another event's reason, as in "Error: ImagePullBackOff".
        "Failed"
            if said
                .strip_prefix("Error: ")
                .is_some_and(|rest| !rest.contains(' ')) =>
        {
            return None;
        }
        // Events of failed pulls and starts share this reason.
        "Failed" if said.contains("pull") => image(said)?,
        "Failed" => (start(said), false),
        "InvalidImageName" | "InspectFailed" => (
            "The image's name is not one: look at --registry, --tag and --image",
            true,
        ),
        "ErrImageNeverPull" => (
            "imagePullPolicy is Never, and the node does not have the image: bring it there, or patch the policy",
            true,
        ),
        "FailedMount" | "FailedAttachVolume" | "FailedMapVolume" => (mount(said), false),
        "CreateContainerConfigError" => (
            "The container names a Secret, key or ConfigMap that is not there, or must not be root while its image says so",
            false,
        ),
        "CreateContainerError" | "RunContainerError" | "StartError" | "ContainerCannotRun" => {
            (start(said), false)
        }
        "FailedCreatePodSandBox" | "FailedCreatePodSandbox" => (sandbox(said), false),
        "Evicted" => (evicted(said), false),
        "Preempted" | "TaintManagerEviction" | "NodeNotReady" | "NodeShutdown" | "Terminated" => (
            "The node was taken away from the job: launch it again, on nodes that stay (priorityClassName, node affinity)",
            false,
        ),
        "FailedCreate" => admission(said),
        "BackOff" if said.contains("pull") => image(said)?,
        "BackOff" | "CrashLoopBackOff" => (
            "A container ends again and again: its log says why (--logs)",
            false,
        ),
        "DeadlineExceeded" => (
            "activeDeadlineSeconds of the Job is over: raise it with --patch",
            false,
        ),
        "OutOfcpu"
        | "OutOfmemory"
        | "OutOfpods"
        | "OutOfephemeral-storage"
        | "UnexpectedAdmissionError"
        | "NodeAffinity" => (
            "The node had no room left when the pod came: launch it again",
            false,
        ),
        _ => return None,
    };
    Some(Trouble {
        reason: reason.to_owned(),
        said: shorten(said),
        cure: cure.to_owned(),
        lasting,
    })
}

fn scheduling(said: &str) -> &'static str {
    if said.contains("Insufficient") {
        "No node has this room left: the cluster's autoscaler may add one, jobs may end; or lower resources.requests with --patch, or let Kueue queue"
    } else if said.contains("PersistentVolumeClaim") || said.contains("unbound") {
        "A volume's claim is not bound: look at its storage class (kubectl describe pvc)"
    } else if said.contains("taint") {
        "The nodes that have room are tainted: add a toleration with --patch"
    } else if said.contains("affinity") || said.contains("selector") {
        "No node has the labels that the pod asks for: change nodeSelector or affinity with --patch, or label nodes"
    } else {
        "No node takes the pod: Kubernetes' words say why for each"
    }
}

/// The cure, and whether it will not pass; nothing for a message that only repeats an earlier one.
fn image(said: &str) -> Option<(&'static str, bool)> {
    let lower = said.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let found = if has(&[
        "unauthorized",
        "authentication required",
        "authorization failed",
        "denied",
        "403",
        "401",
    ]) {
        (
            "The registry wants credentials: add imagePullSecrets to the service account \"runner\", or with --patch",
            false,
        )
    } else if has(&["not found", "manifest unknown", "name unknown", "404"]) {
        (
            "The registry has no such image: push it (scripts/buildme_local.sh --push), or correct --registry and --tag",
            false,
        )
    } else if has(&[
        "no such host",
        "timeout",
        "timed out",
        "refused",
        "unreachable",
        "temporary failure",
    ]) {
        (
            "The node does not reach the registry: correct its name, or look at the node's network and proxy",
            false,
        )
    } else if has(&["x509", "certificate", "http response to https"]) {
        (
            "The node does not trust the registry's certificate: add its authority to the node's container runtime",
            false,
        )
    } else if has(&["no match for platform", "exec format"]) {
        (
            "The image is for another architecture: push one for the nodes', or select nodes with --patch",
            false,
        )
    } else if has(&["toomanyrequests", "rate limit", "429"]) {
        (
            "The registry's rate limit: use a mirror of it or credentials",
            false,
        )
    } else if has(&["back-off", "error: imagepullbackoff", "error: errimagepull"]) {
        return None;
    } else {
        (
            "The node cannot pull the image: the words of its container runtime say why",
            false,
        )
    };
    Some(found)
}

fn mount(said: &str) -> &'static str {
    if said.contains("secret") && said.contains("not found") {
        "The Secret that the pod mounts is not there: one that --secret names must exist in the namespace; a launch's own comes with its Job"
    } else if said.contains("configmap") {
        "The ConfigMap that the pod mounts is not there: make it in the namespace"
    } else {
        "A volume cannot be mounted: look at its storage class and its node (kubectl describe pod)"
    }
}

fn start(said: &str) -> &'static str {
    let lower = said.to_ascii_lowercase();
    if lower.contains("seccomp") {
        "Put k8s/seccomp/buildah.json into /var/lib/kubelet/seccomp/ of each node"
    } else if lower.contains("apparmor") {
        "The node lacks the AppArmor profile that the pod names: load it there, or name another with --patch"
    } else if lower.contains("runasnonroot") || lower.contains("non-root") {
        "The image's user is root and the pod forbids it: use this project's images, or runAsUser"
    } else if lower.contains("no such file")
        || lower.contains("not found")
        || lower.contains("exec format")
    {
        "The image has no such program, or one for another architecture: look at --image"
    } else {
        "The container runtime cannot start the container: its words say why"
    }
}

fn sandbox(said: &str) -> &'static str {
    let lower = said.to_ascii_lowercase();
    if lower.contains("userns") || lower.contains("user namespace") || lower.contains("idmap") {
        "The node gives pods no user namespace: Linux 6.3, containerd 2 with runc 1.2 or crun 1.9, or CRI-O 1.25; or --profile rootless"
    } else if lower.contains("seccomp") {
        start(said)
    } else {
        "The node cannot set up the pod: look at its network plugin and container runtime"
    }
}

fn evicted(said: &str) -> &'static str {
    if said.contains("ephemeral") || said.contains("emptyDir") || said.contains("disk") {
        "The job used more disk than its limit or the node has: raise sizeLimit and ephemeral-storage with --patch, or use nodes with more"
    } else if said.contains("memory") {
        "The node ran out of memory: raise resources.requests.memory with --patch"
    } else {
        "The node got rid of the pod: launch it again"
    }
}

/// The Job controller could not make the pod.
fn admission(said: &str) -> (&'static str, bool) {
    if said.contains("violates PodSecurity") {
        (
            "The namespace enforces a stricter standard than the pod meets: label it pod-security.kubernetes.io/enforce=baseline, or launch elsewhere",
            true,
        )
    } else if said.contains("serviceaccount") {
        (
            "The namespace has no such service account: launcher render … | kubectl apply -f - makes it",
            true,
        )
    } else if said.contains("exceeded quota") {
        (
            "The namespace's quota is used up: raise it, wait for jobs to end, or let Kueue queue",
            false,
        )
    } else if said.contains("LimitRange") || said.contains("maximum") || said.contains("minimum") {
        (
            "A LimitRange of the namespace forbids these resources: change it, or them with --patch",
            true,
        )
    } else if said.contains("denied the request") || said.contains("ValidatingAdmissionPolicy") {
        (
            "A policy of the cluster refuses the pod: change the policy, or the pod with --patch",
            true,
        )
    } else {
        (
            "The pod cannot be created: Kubernetes' words say why",
            false,
        )
    }
}

/// Some messages have a whole log in them.
fn shorten(said: &str) -> String {
    const LIMIT: usize = 400;
    let line: String = said.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= LIMIT {
        return line;
    }
    line.chars().take(LIMIT).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::super::state::Ended;
    use super::*;

    #[test]
    fn every_reason_that_matters_has_its_cure() {
        for (reason, said, cure) in [
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
            let trouble = trouble(reason, said).unwrap_or_else(|| panic!("{reason}: {said}"));
            assert!(trouble.cure.contains(cure), "{trouble}");
        }
    }

    #[test]
    fn what_is_normal_is_no_trouble() {
        for (reason, said) in [
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
            assert_eq!(trouble(reason, said), None, "{reason}");
        }
    }

    #[test]
    fn a_pods_containers_tell_what_they_wait_for_and_died_of() {
        let waiting = Container {
            name: "runner".to_owned(),
            waiting: Some(("ErrImageNeverPull".to_owned(), "not present".to_owned())),
            ..Container::default()
        };
        let killed = Container {
            name: "builder".to_owned(),
            ended_before: Some(Ended {
                reason: "OOMKilled".to_owned(),
                ..Ended::default()
            }),
            ..Container::default()
        };
        let state = PodState {
            containers: vec![waiting, killed],
            ..PodState::default()
        };
        let found = pod(&state);
        assert_eq!(found.len(), 2);
        assert!(
            found[0].lasting && found[1].said.contains("builder"),
            "{found:?}"
        );
    }

    #[test]
    fn the_same_is_not_told_twice_in_other_words() {
        let of = |reason: &str, said: &str| trouble(reason, said).unwrap();
        let pull = of("ErrImagePull", "failed to do request: connection refused");
        let back_off = of(
            "ImagePullBackOff",
            "Back-off pulling image \"x\": ErrImagePull: failed to do request: connection refused",
        );
        assert!(back_off.says_the_same_as(&pull));
        let cpu = of(
            "FailedScheduling",
            "0/3 nodes are available: 3 Insufficient cpu.",
        );
        assert!(
            of(
                "FailedScheduling",
                "0/4 nodes are available: 4 Insufficient cpu."
            )
            .says_the_same_as(&cpu)
        );
        let one = of("CreateContainerError", "one thing");
        assert!(
            !of("CreateContainerError", "another").says_the_same_as(&one)
                && !pull.says_the_same_as(&cpu)
        );
    }

    #[test]
    fn long_words_are_cut() {
        let long = "ä\n".repeat(1000);
        assert!(trouble("FailedMount", &long).unwrap().said.chars().count() <= 401);
    }
}
