//! What a pod has beyond its needs, and a user namespace that it requested and does not have.

use std::path::Path;

use crate::doctor::check::{Check, Finding, Observation};
use crate::doctor::context::{Context, Profile};
use crate::doctor::duty::Duty;
use linux::idmap::parse_map;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "kubernetes.user-namespace",
        title: "The pod has its own user namespace if it requests one",
        method: "With --profile userns: reads /proc/self/uid_map. If all ids are mapped to themselves, they are the node's ids.",
        run: user_namespace,
        findings: &[IGNORED],
        ..Check::DEFAULT
    },
    Check {
        id: "kubernetes.host-pid",
        title: "The node's processes are not visible",
        method: "Compares this process's PID namespace with the kernel's initial one.",
        run: host_pid,
        findings: &[HOST_PID],
        ..Check::DEFAULT
    },
    Check {
        id: "kubernetes.host-network",
        title: "The container is not on the node's network",
        method: "Looks for network interfaces with a hardware device.",
        run: host_network,
        findings: &[HOST_NETWORK],
        ..Check::DEFAULT
    },
    Check {
        id: "kubernetes.engine-socket",
        title: "No container engine's socket is mounted",
        method: "Looks for the sockets of Docker, containerd, CRI-O and podman at their usual paths and in DOCKER_HOST.",
        run: engine_socket,
        findings: &[SOCKET],
        ..Check::DEFAULT
    },
    Check {
        id: "kubernetes.service-account",
        title: "No service account's token is mounted",
        method: "Looks for /var/run/secrets/kubernetes.io/serviceaccount/token.",
        run: service_account,
        findings: &[TOKEN],
        ..Check::DEFAULT
    },
    Check {
        id: "kubernetes.init",
        title: "PID 1 is known",
        method: "Reads the name of process 1. A supervisor that is PID 1 reaps every process of the job.",
        duty: Duty::Job,
        run: init,
        findings: &[],
        ..Check::DEFAULT
    },
];

const IGNORED: Finding = Finding::fails("ignored")
    .means("The pod requests a user namespace of its own (hostUsers: false), but its ids are those of the node. The node's runtime is too old and ignores the field. Root of this container would be root of the node.")
    .remedy("On the nodes: Linux 6.3 or later, containerd 2.0 or later with runc 1.2 or crun 1.9, or CRI-O 1.25. Until then use the profile rootless.\nTo see the versions of the nodes:\n  kubectl get nodes -o wide");
const HOST_PID: Finding = Finding::warns("shared")
    .means("This container can see and signal the node's processes. Nothing here needs that.")
    .remedy("In the pod spec, remove:\n  hostPID: true\nWith podman: leave out --pid host");
const HOST_NETWORK: Finding = Finding::warns("shared")
    .means("This container is on the node's own network. A job reaches every service on the node's loopback, and no network policy applies to it. Nothing here needs that.")
    .remedy("In the pod spec, remove:\n  hostNetwork: true\nWith podman: leave out --network host");
const SOCKET: Finding = Finding::warns("mounted")
    .means("Access to a container engine's socket gives root on the node, and every job here has it. Builds do not need it.")
    .remedy("In the pod spec, remove the volume and its mount:\n  volumes: [{name: NAME, hostPath: {path: {socket}}}]\nRemove the variable DOCKER_HOST too, if it names a socket.\nWith podman: leave out --volume {socket}:{socket}");
const TOKEN: Finding = Finding::warns("mounted")
    .means("Every job here can read this token and use the cluster's API with it. Nothing here needs it.")
    .remedy("In the pod spec:\n  automountServiceAccountToken: false");

fn user_namespace(context: &Context) -> Observation {
    let text = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let identity = is_identity(&text);
    let found = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match (context.profile, identity) {
        (Some(Profile::Userns), true) => {
            Observation::problem(IGNORED, format!("uid_map is {found}"))
        }
        (Some(Profile::Userns), false) => Observation::ok(format!("uid_map is {found}")),
        (_, true) => Observation::skipped("not requested: the ids are the node's"),
        (_, false) => Observation::ok(format!("not requested, but present: uid_map is {found}")),
    }
}

/// Whether every id is mapped to itself, as in the initial user namespace.
fn is_identity(map: &str) -> bool {
    let lines = parse_map(map);
    matches!(lines.as_slice(), [line] if line.inside == 0 && line.outside == 0 && line.count == u32::MAX)
}

/// The initial PID namespace. Its inode number is `PROC_PID_INIT_INO` in linux/proc_ns.h.
const INITIAL_PID_NAMESPACE: &str = "pid:[4026531836]";

fn in_initial_pid_namespace() -> bool {
    let own = std::fs::read_link("/proc/self/ns/pid");
    own.is_ok_and(|own| own == Path::new(INITIAL_PID_NAMESPACE))
}

const NODE: &str = "this is a node, not a container";

/// Whether this is a node itself. There, nothing of this is wrong.
pub(super) fn on_node() -> bool {
    let marks = ["/run/.containerenv", "/.dockerenv"];
    let marked = marks.iter().any(|path| Path::new(path).exists());
    let in_pod = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    !marked && !in_pod && in_initial_pid_namespace()
}

fn host_pid(_: &Context) -> Observation {
    if on_node() {
        return Observation::skipped(NODE);
    }
    if in_initial_pid_namespace() {
        return Observation::problem(HOST_PID, "this is the node's own PID namespace");
    }
    Observation::ok("a PID namespace of its own")
}

fn host_network(_: &Context) -> Observation {
    if on_node() {
        return Observation::skipped(NODE);
    }
    match hardware_interface() {
        Some(interface) => {
            let found = format!("the network interface {interface} has a hardware device");
            Observation::problem(HOST_NETWORK, found)
        }
        None => Observation::ok("no interface with a hardware device"),
    }
}

/// Returns the first interface with a device. A container's usual interfaces, lo and veth, have no device.
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

fn engine_socket(_: &Context) -> Observation {
    if on_node() {
        return Observation::skipped(NODE);
    }
    let named = std::env::var("DOCKER_HOST").unwrap_or_default();
    let named = named.strip_prefix("unix://").map(str::to_owned);
    let mut paths = SOCKETS.into_iter().map(str::to_owned).chain(named);
    match paths.find(|path| Path::new(path).exists()) {
        Some(path) => Observation::problem(SOCKET, format!("{path} exists")).fill("socket", path),
        None => Observation::ok("not found"),
    }
}

/// The path at which Kubernetes mounts the token.
pub(super) const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

fn service_account(_: &Context) -> Observation {
    if Path::new(SERVICE_ACCOUNT).exists() {
        Observation::problem(TOKEN, format!("{SERVICE_ACCOUNT} exists"))
    } else {
        Observation::ok("not found")
    }
}

fn init(_: &Context) -> Observation {
    let name = std::fs::read_to_string("/proc/1/comm").unwrap_or_default();
    let name = name.trim();
    Observation::ok(match name {
        "supervisor" => "the supervisor".to_owned(),
        "" => "not visible".to_owned(),
        other => format!(
            "{other}: the supervisor then reaps its own descendants only, which is enough for `run`"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_map_is_recognized() {
        assert!(is_identity("         0          0 4294967295\n"));
        assert!(!is_identity("         0     100000      65536\n"));
        assert!(!is_identity(""));
    }
}
