//! What the pod was given on top of what it needs: a job can use all of it.

use std::path::Path;

use caps::{CapSet, Capability};

use crate::doctor::check::{Case, Check, Finding, Status};
use crate::doctor::scene::Scene;

/// Where Kubernetes mounts a pod's own token.
pub(super) const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "kubernetes.socket",
        title: "No container engine's socket is mounted",
        how: "Looks for the sockets of Docker, containerd, CRI-O and podman at their usual paths.",
        look: socket,
        cases: &[SOCKET],
        ..Check::NEW
    },
    Check {
        id: "kubernetes.service-account",
        title: "No service-account token is mounted",
        how: "Looks for the token at the path where Kubernetes mounts it.",
        look: service_account,
        cases: &[SERVICE_ACCOUNT],
        ..Check::NEW
    },
    Check {
        id: "kubernetes.privileged",
        title: "The container is not privileged",
        how: "Looks for capabilities in the bounding set that only a privileged container has.",
        look: privileged,
        cases: &[PRIVILEGED],
        ..Check::NEW
    },
    Check {
        id: "kubernetes.host-pid",
        title: "The node's processes are not seen",
        how: "Compares the PID namespace with the node's first one, whose number the kernel fixes.",
        look: host_pid,
        cases: &[HOST_PID],
        ..Check::NEW
    },
    Check {
        id: "kubernetes.host-network",
        title: "The node's network is not shared",
        how: "Looks for network interfaces that only a node has: bridges, and those with a device of their own.",
        look: host_network,
        cases: &[HOST_NETWORK],
        ..Check::NEW
    },
    Check {
        id: "kubernetes.pid-1",
        title: "It is known whether this is PID 1",
        how: "Asks for the parent's process id.",
        look: pid_1,
        ..Check::NEW
    },
];

const SOCKET: Case = Case {
    name: "mounted",
    status: Status::Warn,
    means: "Whoever reaches this socket is root on the node, and the job reaches it. Builds here need none.",
    cure: "Take the hostPath volume of {socket} out of the pod spec. With podman: leave out --volume {socket}",
};
const SERVICE_ACCOUNT: Case = Case {
    name: "mounted",
    status: Status::Warn,
    means: "The job can read this token and talk to the cluster's API with it.",
    cure: "In the pod spec, for the whole pod:\n  automountServiceAccountToken: false",
};
const PRIVILEGED: Case = Case {
    name: "privileged",
    status: Status::Warn,
    means: "A privileged container is root on the node in all but name. Builds here need nothing of it.",
    cure: "In the pod spec, on this container:\n  securityContext:\n    privileged: false\n    capabilities: {drop: [ALL], add: [SETUID, SETGID]}\nWith podman: --cap-drop all --cap-add SETUID --cap-add SETGID in place of --privileged",
};
const HOST_PID: Case = Case {
    name: "host",
    status: Status::Warn,
    means: "The job sees every process of the node, and the supervisor is not PID 1: it cannot end what the job leaves running.",
    cure: "In the pod spec, for the whole pod, leave out hostPID. With podman: leave out --pid=host",
};
const HOST_NETWORK: Case = Case {
    name: "host",
    status: Status::Warn,
    means: "The job reaches whatever listens on the node's own loopback, the kubelet among it.",
    cure: "In the pod spec, for the whole pod, leave out hostNetwork. With podman: leave out --network=host",
};

const SOCKETS: [&str; 6] = [
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/podman/podman.sock",
    "/var/run/dockershim.sock",
];

/// `PROC_PID_INIT_INO` in the kernel's include/linux/proc_ns.h.
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

/// A node, where none of this would be wrong.
fn on_node() -> bool {
    let marked = ["/run/.containerenv", "/.dockerenv"]
        .iter()
        .any(|path| Path::new(path).exists());
    let in_pod = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    !marked && !in_pod && in_first_pid_namespace()
}

fn in_first_pid_namespace() -> bool {
    let link = std::fs::read_link("/proc/self/ns/pid");
    link.is_ok_and(|link| link == Path::new(FIRST_PID_NAMESPACE))
}

const NODE: &str = "this is no container";

fn socket(_: &Scene) -> Finding {
    if on_node() {
        return Finding::skipped(NODE);
    }
    match SOCKETS.iter().find(|path| Path::new(path).exists()) {
        Some(path) => Finding::case(SOCKET, *path).fill("socket", *path),
        None => Finding::ok("none"),
    }
}

fn service_account(_: &Scene) -> Finding {
    if Path::new(TOKEN).exists() {
        return Finding::case(SERVICE_ACCOUNT, TOKEN);
    }
    Finding::ok("none")
}

fn privileged(_: &Scene) -> Finding {
    if on_node() {
        return Finding::skipped(NODE);
    }
    let has = |capability: &Capability| {
        caps::has_cap(None, CapSet::Bounding, *capability).unwrap_or(false)
    };
    let more = [
        Capability::CAP_SYS_MODULE,
        Capability::CAP_SYS_RAWIO,
        Capability::CAP_SYS_ADMIN,
    ];
    if more.iter().all(has) {
        return Finding::case(
            PRIVILEGED,
            "the bounding set has SYS_ADMIN, SYS_MODULE and SYS_RAWIO",
        );
    }
    Finding::ok("the bounding set is no privileged container's")
}

fn host_pid(_: &Scene) -> Finding {
    if on_node() {
        return Finding::skipped(NODE);
    }
    if in_first_pid_namespace() {
        return Finding::case(HOST_PID, "this is the node's first PID namespace");
    }
    Finding::ok("a PID namespace of its own")
}

fn host_network(_: &Scene) -> Finding {
    if on_node() {
        return Finding::skipped(NODE);
    }
    let interfaces = std::fs::read_dir("/sys/class/net")
        .into_iter()
        .flatten()
        .flatten();
    let of_node = interfaces
        .filter(|interface| {
            let path = interface.path();
            path.join("device").exists() || path.join("bridge").exists()
        })
        .map(|interface| interface.file_name().to_string_lossy().into_owned());
    let of_node: Vec<String> = of_node.collect();
    if of_node.is_empty() {
        return Finding::ok("no interface of a node's kind");
    }
    Finding::case(HOST_NETWORK, of_node.join(", "))
}

/// The check runs in a child of the doctor's.
fn pid_1(_: &Scene) -> Finding {
    let parent = nix::unistd::getppid().as_raw();
    if parent == 1 {
        return Finding::ok("PID 1").value("yes");
    }
    let init = std::fs::read_to_string("/proc/1/comm").unwrap_or_default();
    let init = init.trim();
    Finding::ok(format!(
        "process {parent}; PID 1 is {init}. `supervisor run` is at its best as PID 1"
    ))
    .value("no")
}
