//! What the container runtime denies: system calls, capabilities, and gaining capabilities.

use std::time::Duration;

use caps::{CapSet, Capability};
use nix::errno::Errno;
use nix::unistd::getuid;

use super::kernel;
use super::kubernetes::on_node;
use super::probes::errno_text;
use crate::doctor::check::{Check, Finding, Observation};
use crate::doctor::context::Context;
use crate::doctor::duty::Duty;
use linux::idmap::parse_map;
use linux::probe::{Probe, ProbeError};
use linux::syscalls::{self, FilterReport};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "privileges.syscalls",
        title: "The seccomp filter allows the system calls of a build",
        method: "Makes each system call with arguments that the kernel refuses with a known errno and without any effect. A different result comes from the filter.",
        duty: Duty::Builds,
        preflight: true,
        run: syscalls,
        findings: &[SECCOMP, SECCOMP_KILLS, NO_UMOUNT, SECCOMP_ODD],
        ..Check::DEFAULT
    },
    Check {
        id: "privileges.no-new-privs",
        title: "Programs may gain the capabilities of their files",
        method: "Reads the flag no_new_privs, prctl(2) PR_GET_NO_NEW_PRIVS.",
        duty: Duty::Builds,
        preflight: true,
        run: no_new_privs,
        findings: &[NO_NEW_PRIVS],
        ..Check::DEFAULT
    },
    Check {
        id: "privileges.capabilities",
        title: "The capabilities SETUID and SETGID are available",
        method: "Reads the bounding set, or as root the effective set.",
        duty: Duty::Builds,
        preflight: true,
        run: capabilities,
        findings: &[BOUNDING, ROOT_WITHOUT],
        ..Check::DEFAULT
    },
    Check {
        id: "privileges.excess",
        title: "The container has no rights over its node",
        method: "Reads the bounding set. If the pod has a user namespace of its own, capabilities are valid only inside it, and the check is ok.",
        run: excess,
        findings: &[PRIVILEGED, ADMIN],
        ..Check::DEFAULT
    },
];

pub(super) const SECCOMP: Finding = Finding::fails("refused")
    .means("A build unpacks image layers and runs steps in a small container of its own. The seccomp filter of this container forbids the system calls that make one.")
    .remedy("Install k8s/seccomp/buildah.json on every node (kubectl apply -k k8s/seccomp). In the pod spec, on this container:\n  securityContext:\n    seccompProfile: {type: Localhost, localhostProfile: buildah.json}\nWith podman: --security-opt seccomp=k8s/seccomp/buildah.json");
const SECCOMP_KILLS: Finding = SECCOMP.named("killed")
    .means("The seccomp filter of this container kills a process that makes this system call. A build would end without a message.");
const NO_UMOUNT: Finding = Finding::warns("umount2")
    .means("The seccomp filter allows builds to mount and forbids them to unmount. Builds work, but with the slow driver vfs. The mounts of every step stay until the whole build ends, with the warning \"error unmounting\".")
    .remedy(SECCOMP.remedy);
const SECCOMP_ODD: Finding = Finding::warns("odd")
    .means("The seccomp filter refuses these system calls with an errno that does not mean \"not implemented\". So programs do not fall back to older calls. Most builds work; newer tools may fail.")
    .remedy("Refuse them with ENOSYS in the profile (\"defaultErrnoRet\": 38), as k8s/seccomp/buildah.json does.");
const NO_NEW_PRIVS: Finding = Finding::fails("set")
    .means("newuidmap maps the user ids of a build. It has its right from a file capability, and this flag makes the kernel ignore file capabilities. Buildah then fails with \"newuidmap: write to uid_map failed\". Or it goes on with a single id, and fails at the first file of another user.")
    .remedy("In the pod spec, on this container (or remove the first line, because true is its default):\n  securityContext:\n    allowPrivilegeEscalation: true\n    capabilities: {drop: [ALL], add: [SETUID, SETGID]}\nWith podman: leave out --security-opt no-new-privileges\nOr, on clusters with user namespaces for pods: hostUsers: false and runAsUser: 0. Then no program needs to gain a capability.");
const BOUNDING: Finding = Finding::fails("bounding-set")
    .means("newuidmap and newgidmap map the ids of a build with the capabilities SETUID and SETGID. These are not in the bounding set of this container. Buildah then blames newuidmap itself (\"should be setuid or have filecaps\"), although newuidmap is fine.")
    .remedy("In the pod spec, on this container:\n  securityContext:\n    capabilities: {drop: [ALL], add: [SETUID, SETGID]}\nWith podman: --cap-drop all --cap-add SETUID --cap-add SETGID");
const ROOT_WITHOUT: Finding = Finding::fails("root-without")
    .means("Root of this container maps the user ids of a build itself. It needs these capabilities for that.")
    .remedy("In the pod spec, on this container:\n  securityContext:\n    capabilities: {drop: [ALL], add: [SETUID, SETGID, SETFCAP]}\nWith podman: --cap-drop all --cap-add SETUID --cap-add SETGID --cap-add SETFCAP");

const PRIVILEGED: Finding = Finding::warns("privileged")
    .means("This container is privileged: a job that becomes root in it controls the node. Nothing here needs that.")
    .remedy("In the pod spec, on this container, in place of privileged: true:\n  securityContext:\n    capabilities: {drop: [ALL], add: [SETUID, SETGID]}\n    seccompProfile: {type: Localhost, localhostProfile: buildah.json}\nWith podman: leave out --privileged");
const ADMIN: Finding = PRIVILEGED.named("sys-admin")
    .means("The capability SYS_ADMIN is available in this container. It gives most of root's rights on the node. Builds need it only inside their own user namespace.")
    .remedy("In the pod spec, on this container:\n  securityContext:\n    capabilities: {drop: [ALL], add: [SETUID, SETGID]}\nWith podman: leave out --cap-add SYS_ADMIN");

/// Builds work without these calls: chroot isolation never uses keyctl, and the others have a fallback.
const SPARED: [&str; 5] = ["clone3", "keyctl", "openat2", "setns", "umount2"];

/// Whether builds work without the call. glibc falls back from clone3 to clone only on ENOSYS.
fn is_spared(name: &str, errno: i32) -> bool {
    SPARED.contains(&name) && (name != "clone3" || errno == Errno::ENOSYS as i32)
}

fn probe_syscalls() -> Result<FilterReport, ProbeError> {
    let probe = Probe {
        name: syscalls::NAME,
        arguments: Vec::new(),
        forked: Some(|_, _| {
            syscalls::run_in_child();
            0
        }),
        mapped: false,
        timeout: Duration::from_secs(4),
    };
    probe.run_as()
}

/// Whether the seccomp filter refuses this system call, or kills the process that makes it.
pub(super) fn is_filtered(call: &str) -> bool {
    probe_syscalls().is_ok_and(|heard| {
        heard.pending.as_deref() == Some(call) || heard.refused.iter().any(|(name, _)| name == call)
    })
}

fn syscalls(_: &Context) -> Observation {
    let heard = match probe_syscalls() {
        Ok(heard) => heard,
        Err(error) => return Observation::problem(SECCOMP_KILLS, error.to_string()),
    };
    if let Some(name) = heard.pending {
        return Observation::problem(SECCOMP_KILLS, format!("{name}: the process was killed"));
    }
    let list = |refused: &[&(String, i32)]| {
        let calls = refused
            .iter()
            .map(|(name, errno)| format!("{name}: {}", errno_text(Errno::from_raw(*errno))));
        calls.collect::<Vec<_>>().join(", ")
    };
    let (spared, needed): (Vec<_>, Vec<_>) = heard
        .refused
        .iter()
        .partition(|(name, errno)| is_spared(name, *errno));
    if !needed.is_empty() {
        return Observation::problem(SECCOMP, list(&needed));
    }
    if spared.iter().any(|(name, _)| name == "umount2") {
        return Observation::problem(NO_UMOUNT, list(&spared));
    }
    let odd = |(name, errno): &(String, i32)| name != "keyctl" && *errno != Errno::ENOSYS as i32;
    let odd: Vec<_> = spared
        .iter()
        .copied()
        .filter(|refused| odd(refused))
        .collect();
    if !odd.is_empty() {
        return Observation::problem(SECCOMP_ODD, list(&odd));
    }
    if spared.is_empty() {
        return Observation::ok("all of them are allowed");
    }
    Observation::ok(format!("refused, but not needed: {}", list(&spared)))
}

fn no_new_privs(_: &Context) -> Observation {
    let set = nix::sys::prctl::get_no_new_privs().unwrap_or(false);
    if !set {
        return Observation::ok("no_new_privs is not set");
    }
    if getuid().is_root() {
        return Observation::ok("no_new_privs is set; root needs to gain no capability");
    }
    Observation::problem(
        NO_NEW_PRIVS,
        "no_new_privs is set (allowPrivilegeEscalation: false)",
    )
}

fn capabilities(_: &Context) -> Observation {
    use Capability::{CAP_SETGID, CAP_SETUID};
    let root = getuid().is_root();
    let (set, needed): (_, &[Capability]) = if root {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        (CapSet::Effective, of_root(&release))
    } else {
        (CapSet::Bounding, &[CAP_SETUID, CAP_SETGID])
    };
    let has = |capability| caps::has_cap(None, set, capability).unwrap_or(false);
    let missing: Vec<String> = needed
        .iter()
        .filter(|capability| !has(**capability))
        .map(|capability| capability.to_string().trim_start_matches("CAP_").to_owned())
        .collect();
    let missing = missing.join(" and ");
    if root && missing.is_empty() {
        Observation::ok("root has all capabilities that it needs to map ids")
    } else if root {
        Observation::problem(ROOT_WITHOUT, format!("root without {missing}"))
    } else if missing.is_empty() {
        Observation::ok("the bounding set has SETUID and SETGID")
    } else {
        Observation::problem(BOUNDING, format!("the bounding set lacks {missing}"))
    }
}

/// The capabilities that root needs to map ids. SETFCAP is one of them since Linux 5.12 (commit db2e718a4798, "require
/// CAP_SETFCAP to map uid 0").
fn of_root(release: &str) -> &'static [Capability] {
    use Capability::{CAP_SETFCAP, CAP_SETGID, CAP_SETUID};
    match kernel::version(release) {
        Some(found) if found < (5, 12) => &[CAP_SETUID, CAP_SETGID],
        _ => &[CAP_SETUID, CAP_SETGID, CAP_SETFCAP],
    }
}

fn excess(_: &Context) -> Observation {
    if on_node() {
        return Observation::skipped("this is a node, not a container");
    }
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let own = !parse_map(&map)
        .iter()
        .any(|line| line.outside == 0 && line.count > 0);
    if own {
        return Observation::ok("root of this container is an ordinary user on the node");
    }
    let has = |capability| caps::has_cap(None, CapSet::Bounding, capability).unwrap_or(false);
    let all = caps::all()
        .into_iter()
        .filter(|capability| has(*capability));
    match (all.count(), has(Capability::CAP_SYS_ADMIN)) {
        (count, true) if count >= 38 => {
            Observation::problem(PRIVILEGED, format!("{count} capabilities are available"))
        }
        (_, true) => Observation::problem(ADMIN, "the bounding set has SYS_ADMIN"),
        (count, false) => Observation::ok(format!("{count} capabilities, without SYS_ADMIN")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_needs_setfcap_since_linux_5_12() {
        let needs = |release| of_root(release).contains(&Capability::CAP_SETFCAP);
        assert!(!needs("5.4.0-150-generic"));
        assert!(!needs("5.11.22"));
        assert!(needs("5.12.0") && needs("6.1.0-9-amd64"));
        assert!(needs("unknown"));
    }
}
