//! What a pod was given beyond its needs, and what it was promised and did not get.

use std::path::Path;

use crate::doctor::check::{Case, Check, Finding, Status};
use crate::doctor::duty::Duty;
use crate::doctor::scene::{Profile, Scene};
use linux::idmap::parse_map;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "kubernetes.user-namespace",
        title: "The pod has its own user namespace where it asks for one",
        how: "With --profile userns: reads /proc/self/uid_map. All ids mapped to themselves are the node's own.",
        look: user_namespace,
        cases: &[IGNORED],
        ..Check::NEW
    },
    Check {
        id: "kubernetes.host-pid",
        title: "The node's processes are out of sight",
        how: "Compares this process's PID namespace with the kernel's first one.",
        look: host_pid,
        cases: &[HOST_PID],
        ..Check::NEW
    },
    Check {
        id: "kubernetes.host-network",
        title: "The node's network is out of reach",
        how: "Looks for network interfaces with hardware beneath them.",
        look: host_network,
        cases: &[HOST_NETWORK],
        ..Check::NEW
    },
    Check {
        id: "kubernetes.engine-socket",
        title: "No container engine's socket is mounted",
        how: "Looks for the sockets of Docker, containerd, CRI-O and podman where they usually are, and at DOCKER_HOST.",
        look: engine_socket,
        cases: &[SOCKET],
        ..Check::NEW
    },
    Check {
        id: "kubernetes.service-account",
        title: "No service account's token is mounted",
        how: "Looks for /var/run/secrets/kubernetes.io/serviceaccount/token.",
        look: service_account,
        cases: &[TOKEN],
        ..Check::NEW
    },
    Check {
        id: "kubernetes.init",
        title: "PID 1 is known",
        how: "Reads the name of process 1. A supervisor that is PID 1 sees every process of the job end.",
        duty: Duty::Job,
        look: init,
        cases: &[],
        ..Check::NEW
    },
];

const IGNORED: Case = Case {
    name: "ignored",
    status: Status::Fail,
    means: "The pod asks for a user namespace of its own (hostUsers: false), and its ids are those of the node: the node's runtime is too old to know it and says nothing. Root of this container would be root of the node.",
    cure: "On the nodes: Linux 6.3 or later, containerd 2.0 or later with runc 1.2 or crun 1.9, or CRI-O 1.25. Until then take the profile rootless.\nFor a look from outside:\n  kubectl get nodes -o wide",
};
const HOST_PID: Case = Case {
    name: "shared",
    status: Status::Warn,
    means: "This container sees and may signal the node's processes. Nothing here needs that.",
    cure: "In the pod spec, take out:\n  hostPID: true\nWith podman: leave out --pid host",
};
const HOST_NETWORK: Case = Case {
    name: "shared",
    status: Status::Warn,
    means: "This container is on the node's own network: a job reaches whatever listens on the node's loopback, and no network policy holds it. Nothing here needs that.",
    cure: "In the pod spec, take out:\n  hostNetwork: true\nWith podman: leave out --network host",
};
const SOCKET: Case = Case {
    name: "mounted",
    status: Status::Warn,
    means: "Whoever may talk to a container engine's socket is root on the node, and every job here may. Builds do not need it.",
    cure: "In the pod spec, take the volume and its mount out:\n  volumes: [{name: NAME, hostPath: {path: {socket}}}]\nand the variable DOCKER_HOST, if it names one.\nWith podman: leave out --volume {socket}:{socket}",
};
const TOKEN: Case = Case {
    name: "mounted",
    status: Status::Warn,
    means: "Every job here may read this token and talk to the cluster's API with it. Nothing here needs it.",
    cure: "In the pod spec:\n  automountServiceAccountToken: false",
};

fn user_namespace(scene: &Scene) -> Finding {
    let text = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let identity = is_identity(&text);
    let found = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match (scene.profile, identity) {
        (Some(Profile::Userns), true) => Finding::case(IGNORED, format!("uid_map is {found}")),
        (Some(Profile::Userns), false) => Finding::ok(format!("uid_map is {found}")),
        (_, true) => Finding::skipped("not asked for: the ids are the node's"),
        (_, false) => Finding::ok(format!("not asked for, but there: uid_map is {found}")),
    }
}

/// Whether every id is mapped to itself, as in the first user namespace.
fn is_identity(map: &str) -> bool {
    let lines = parse_map(map);
    matches!(lines.as_slice(), [line] if line.inside == 0 && line.outside == 0 && line.count == u32::MAX)
}

/// Inode of the first PID namespace, `PROC_PID_INIT_INO` in linux/proc_ns.h.
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

fn in_first_pid_namespace() -> bool {
    let own = std::fs::read_link("/proc/self/ns/pid");
    own.is_ok_and(|own| own == Path::new(FIRST_PID_NAMESPACE))
}

const NODE: &str = "this is a node, and no container";

/// A node itself, where none of this would be wrong.
pub(super) fn on_node() -> bool {
    let marks = ["/run/.containerenv", "/.dockerenv"];
    let marked = marks.iter().any(|path| Path::new(path).exists());
    let in_pod = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    !marked && !in_pod && in_first_pid_namespace()
}

fn host_pid(_: &Scene) -> Finding {
    if on_node() {
        return Finding::skipped(NODE);
    }
    if in_first_pid_namespace() {
        return Finding::case(HOST_PID, "this is the node's own PID namespace");
    }
    Finding::ok("a PID namespace of its own")
}

fn host_network(_: &Scene) -> Finding {
    if on_node() {
        return Finding::skipped(NODE);
    }
    match hardware_interface() {
        Some(interface) => {
            let found = format!("the network interface {interface} has hardware beneath it");
            Finding::case(HOST_NETWORK, found)
        }
        None => Finding::ok("no interface with hardware beneath it"),
    }
}

/// Of a container's usual interfaces, lo and one end of a veth pair, none has a device.
fn hardware_interface() -> Option<String> {
    let entries = std::fs::read_dir("/sys/class/net").ok()?;
    let mut names = entries
        .flatten()
        .filter(|entry| entry.path().join("device").exists());
    let entry = names.next()?;
    Some(entry.file_name().to_string_lossy().into_owned())
}

const SOCKETS: [&str; 6] = [
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/podman/podman.sock",
    "/run/k3s/containerd/containerd.sock",
];

fn engine_socket(_: &Scene) -> Finding {
    if on_node() {
        return Finding::skipped(NODE);
    }
    let named = std::env::var("DOCKER_HOST").unwrap_or_default();
    let named = named.strip_prefix("unix://").map(str::to_owned);
    let mut paths = SOCKETS.into_iter().map(str::to_owned).chain(named);
    match paths.find(|path| Path::new(path).exists()) {
        Some(path) => Finding::case(SOCKET, format!("{path} is there")).fill("socket", path),
        None => Finding::ok("none is there"),
    }
}

/// Where Kubernetes mounts it.
pub(super) const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

fn service_account(_: &Scene) -> Finding {
    if Path::new(SERVICE_ACCOUNT).exists() {
        Finding::case(TOKEN, format!("{SERVICE_ACCOUNT} is there"))
    } else {
        Finding::ok("none is there")
    }
}

fn init(_: &Scene) -> Finding {
    let name = std::fs::read_to_string("/proc/1/comm").unwrap_or_default();
    let name = name.trim();
    Finding::ok(match name {
        "supervisor" => "the supervisor".to_owned(),
        "" => "not to be seen".to_owned(),
        other => format!(
            "{other}: the supervisor then watches over its own descendants only, which is enough for `run`"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_nodes_own_map_is_the_identity() {
        assert!(is_identity("         0          0 4294967295\n"));
        assert!(!is_identity("         0     100000      65536\n"));
        assert!(!is_identity(""));
    }
}
