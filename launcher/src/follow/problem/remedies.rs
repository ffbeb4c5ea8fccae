//! The table of Kubernetes' reasons and messages, with the remedy for each.

use std::borrow::Cow;

/// What the user has to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Remedy {
    pub(super) text: Cow<'static, str>,
    /// Whether the problem will not pass by itself.
    pub(super) permanent: bool,
    /// Whether the text refers the user to Kubernetes' message.
    pub(super) points_at_message: bool,
}

/// A remedy for a problem that may pass.
const fn temporary(text: &'static str) -> Remedy {
    Remedy {
        text: Cow::Borrowed(text),
        permanent: false,
        points_at_message: false,
    }
}

/// A remedy for a problem that will not pass by itself.
const fn permanent(text: &'static str) -> Remedy {
    Remedy {
        text: Cow::Borrowed(text),
        permanent: true,
        points_at_message: false,
    }
}

/// A remedy that only Kubernetes' message gives in detail.
const fn see_message(text: &'static str) -> Remedy {
    Remedy {
        text: Cow::Borrowed(text),
        permanent: false,
        points_at_message: true,
    }
}

/// A rule: the remedy applies if the message, in lower case, contains one of the words.
type Rule = (&'static [&'static str], Remedy);

/// The reasons whose remedy does not depend on the message.
const BY_REASON: &[(&[&str], Remedy)] = &[
    (
        &["InvalidImageName", "InspectFailed"],
        permanent("The image's name is invalid: correct --registry, --tag or --image"),
    ),
    (
        &["ErrImageNeverPull"],
        permanent(
            "imagePullPolicy is Never, and the node does not have the image: load the image there, or change the policy with --patch",
        ),
    ),
    (
        &["CreateContainerConfigError"],
        temporary(
            "The container names a Secret, key or ConfigMap that does not exist, or it must not run as root although its image says so",
        ),
    ),
    (
        &[
            "Preempted",
            "TaintManagerEviction",
            "NodeNotReady",
            "NodeShutdown",
            "Terminated",
        ],
        temporary(
            "The job lost its node: launch it again, on nodes that stay (priorityClassName, node affinity)",
        ),
    ),
    (
        &["BackOff", "CrashLoopBackOff"],
        temporary("A container exits again and again: see its log (--logs)"),
    ),
    (
        &["DeadlineExceeded"],
        temporary("The Job's activeDeadlineSeconds have passed: raise them with --patch"),
    ),
    (
        &[
            "OutOfcpu",
            "OutOfmemory",
            "OutOfpods",
            "OutOfephemeral-storage",
            "UnexpectedAdmissionError",
            "NodeAffinity",
        ],
        temporary("The node had no room left when the pod arrived: launch it again"),
    ),
];

const SCHEDULING: &[Rule] = &[
    (
        &["insufficient"],
        temporary(
            "No node has room for the pod's requests: wait for the cluster autoscaler or for jobs to end, lower resources.requests with --patch, or let Kueue queue",
        ),
    ),
    (
        &["persistentvolumeclaim", "unbound"],
        temporary("A volume's claim is not bound: check its storage class (kubectl describe pvc)"),
    ),
    (
        &["taint"],
        temporary("The nodes with room are tainted: add a toleration with --patch"),
    ),
    (
        &["affinity", "selector"],
        temporary(
            "No node has the labels that the pod selects: change nodeSelector or affinity with --patch, or label nodes",
        ),
    ),
];

const IMAGE: &[Rule] = &[
    (
        &[
            "unauthorized",
            "authentication required",
            "authorization failed",
            "denied",
            "403",
            "401",
        ],
        temporary(
            "The registry requires credentials: add imagePullSecrets to the service account \"runner\", or with --patch",
        ),
    ),
    (
        &["not found", "manifest unknown", "name unknown", "404"],
        temporary(
            "The registry does not have this image: push it (scripts/buildme_local.sh --push), or correct --registry and --tag",
        ),
    ),
    (
        &[
            "no such host",
            "timeout",
            "timed out",
            "refused",
            "unreachable",
            "temporary failure",
        ],
        temporary(
            "The node cannot reach the registry: correct the registry's name, or check the node's network and proxy",
        ),
    ),
    (
        &["x509", "certificate", "http response to https"],
        temporary(
            "The node does not trust the registry's certificate: add the certificate authority to the node's container runtime",
        ),
    ),
    (
        &["no match for platform", "exec format"],
        temporary(
            "The image is for another architecture: push one for the nodes' architecture, or select nodes with --patch",
        ),
    ),
    (
        &["toomanyrequests", "rate limit", "429"],
        temporary("The registry's rate limit is used up: use a mirror, or credentials"),
    ),
];

/// Messages that only repeat that an earlier pull failed.
const REPEATED_PULL: &[&str] = &["back-off", "error: imagepullbackoff", "error: errimagepull"];

const MOUNT: &[Rule] = &[(
    &["configmap"],
    temporary("The ConfigMap that the pod mounts does not exist: create it in the namespace"),
)];

const START: &[Rule] = &[
    (
        &["seccomp"],
        temporary("Copy k8s/seccomp/buildah.json to /var/lib/kubelet/seccomp/ on each node"),
    ),
    (
        &["apparmor"],
        temporary(
            "The node lacks the AppArmor profile that the pod names: load it there, or name another profile with --patch",
        ),
    ),
    (
        &["runasnonroot", "non-root"],
        temporary(
            "The image's user is root, which the pod forbids: use this project's images, or set runAsUser with --patch",
        ),
    ),
    (
        &["no such file", "not found", "exec format"],
        temporary(
            "The image lacks the program, or the program is for another architecture: correct --image",
        ),
    ),
];

const SANDBOX: &[Rule] = &[
    (
        &["userns", "user namespace", "idmap"],
        temporary(
            "The node cannot give pods a user namespace: that needs Linux 6.3 and containerd 2 with runc 1.2 or crun 1.9, or CRI-O 1.25; or pass --profile rootless",
        ),
    ),
    (
        &["seccomp"],
        temporary("Copy k8s/seccomp/buildah.json to /var/lib/kubelet/seccomp/ on each node"),
    ),
];

const EVICTED: &[Rule] = &[
    (
        &["ephemeral", "emptydir", "disk"],
        temporary(
            "The job used more disk than its limit or than the node has: raise sizeLimit and ephemeral-storage with --patch, or use nodes with more disk",
        ),
    ),
    (
        &["memory"],
        temporary("The node ran out of memory: raise resources.requests.memory with --patch"),
    ),
];

/// The Job controller could not create the pod.
const ADMISSION: &[Rule] = &[
    (
        &["violates podsecurity"],
        permanent(
            "The namespace enforces a stricter Pod Security standard: label it pod-security.kubernetes.io/enforce=baseline, or use another namespace",
        ),
    ),
    (
        &["serviceaccount"],
        permanent(
            "The namespace lacks the pod's service account: create it with \"launcher render … | kubectl apply -f -\"",
        ),
    ),
    (
        &["exceeded quota"],
        temporary(
            "The namespace's quota is used up: raise it, wait until jobs end, or let Kueue queue",
        ),
    ),
    (
        &["limitrange", "maximum", "minimum"],
        permanent(
            "A LimitRange of the namespace forbids these resources: change the LimitRange, or the resources with --patch",
        ),
    ),
    (
        &["denied the request", "validatingadmissionpolicy"],
        permanent(
            "An admission policy of the cluster rejects the pod: change the policy, or the pod with --patch",
        ),
    ),
];

/// Returns the remedy for a reason and message of Kubernetes, or `None` if they report no problem or repeat one.
pub(super) fn find(reason: &str, message: &str) -> Option<Remedy> {
    match reason {
        "FailedScheduling" => Some(choose(
            SCHEDULING,
            message,
            see_message("No node takes the pod: the message has the reason for each node"),
        )),
        "ErrImagePull" | "ImagePullBackOff" => image(message),
        "Failed" if repeats_a_reason(message) => None,
        // Failed pulls and failed starts share this reason.
        "Failed" | "BackOff" if message.contains("pull") => image(message),
        "Failed"
        | "CreateContainerError"
        | "RunContainerError"
        | "StartError"
        | "ContainerCannotRun" => Some(start(message)),
        "FailedMount" | "FailedAttachVolume" | "FailedMapVolume" => Some(mount(message)),
        "FailedCreatePodSandBox" | "FailedCreatePodSandbox" => Some(choose(
            SANDBOX,
            message,
            temporary(
                "The node cannot set up the pod: check its network plugin and container runtime",
            ),
        )),
        "Evicted" => Some(choose(
            EVICTED,
            message,
            temporary("The node evicted the pod: launch the job again"),
        )),
        "FailedCreate" => Some(choose(
            ADMISSION,
            message,
            see_message("The pod cannot be created: the message has the reason"),
        )),
        _ => {
            let entry = BY_REASON
                .iter()
                .find(|(reasons, _)| reasons.contains(&reason));
            entry.map(|(_, remedy)| remedy.clone())
        }
    }
}

/// Returns the remedy for a container that exceeded its memory limit.
pub(super) fn out_of_memory(container: &str, limit: Option<&str>) -> Remedy {
    let more = limit.and_then(half_as_much_again);
    let more = more.map_or_else(String::new, |more| format!(", to {more} for example,"));
    let text = format!(
        "Raise resources.limits.memory of \"{container}\"{more} with --patch; volumes in memory count too"
    );
    Remedy {
        text: Cow::Owned(text),
        ..temporary("")
    }
}

/// A limit to try next. `None` for a quantity with another unit.
fn half_as_much_again(limit: &str) -> Option<String> {
    let (digits, mib) = if let Some(digits) = limit.strip_suffix("Gi") {
        (digits, 1024)
    } else {
        (limit.strip_suffix("Mi")?, 1)
    };
    let limit: u64 = digits.parse().ok()?;
    let more = limit.checked_mul(mib)?.checked_mul(3)?.div_ceil(2);
    Some(format!("{more}Mi"))
}

fn choose(rules: &[Rule], message: &str, otherwise: Remedy) -> Remedy {
    let lower = message.to_ascii_lowercase();
    let rule = rules
        .iter()
        .find(|(words, _)| words.iter().any(|word| lower.contains(word)));
    rule.map_or(otherwise, |(_, remedy)| remedy.clone())
}

/// Returns whether a message only repeats another event's reason, as in "Error: ImagePullBackOff".
fn repeats_a_reason(message: &str) -> bool {
    let rest = message.strip_prefix("Error: ");
    rest.is_some_and(|rest| !rest.contains(' '))
}

/// Returns `None` for a message that only repeats that an earlier pull failed.
fn image(message: &str) -> Option<Remedy> {
    let cannot_pull = see_message(
        "The node cannot pull the image: the message has the container runtime's reason",
    );
    let remedy = choose(IMAGE, message, cannot_pull);
    let lower = message.to_ascii_lowercase();
    let repeats = REPEATED_PULL.iter().any(|words| lower.contains(words));
    (!(remedy.points_at_message && repeats)).then_some(remedy)
}

fn mount(message: &str) -> Remedy {
    if message.contains("secret") && message.contains("not found") {
        return temporary(
            "The Secret that the pod mounts does not exist: create the one that --secret names in the namespace; a launch's own Secret comes with its Job",
        );
    }
    let cannot_mount = temporary(
        "A volume cannot be mounted: check its storage class and its node (kubectl describe pod)",
    );
    choose(MOUNT, message, cannot_mount)
}

fn start(message: &str) -> Remedy {
    let cannot_start =
        see_message("The container runtime cannot start the container: the message has its reason");
    choose(START, message, cannot_start)
}
