//! What the runtime took away from this container: system calls, capabilities, the right to gain any.

use std::time::Duration;

use caps::{CapSet, Capability};
use nix::errno::Errno;
use nix::unistd::getuid;

use super::kernel;
use super::kubernetes::on_node;
use super::trials::told;
use crate::doctor::check::{Case, Check, Finding, Status};
use crate::doctor::duty::Duty;
use crate::doctor::scene::Scene;
use linux::idmap::parse_map;
use linux::syscalls::{self, Heard};
use linux::trial::{Trial, TrialError};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "privileges.syscalls",
        title: "The seccomp filter lets a build's system calls pass",
        how: "Makes each system call with arguments that the kernel itself refuses by a known errno and without any effect. Another answer comes from the filter.",
        duty: Duty::Builds,
        preflight: true,
        look: syscalls,
        cases: &[SECCOMP, SECCOMP_KILLS, NO_UMOUNT, SECCOMP_ODD],
        ..Check::NEW
    },
    Check {
        id: "privileges.no-new-privs",
        title: "Programs may gain the capabilities of their file",
        how: "Reads the no_new_privs flag, prctl(2) PR_GET_NO_NEW_PRIVS.",
        duty: Duty::Builds,
        preflight: true,
        look: no_new_privs,
        cases: &[NO_NEW_PRIVS],
        ..Check::NEW
    },
    Check {
        id: "privileges.capabilities",
        title: "SETUID and SETGID are within reach",
        how: "As a user without rights: reads the bounding set. As root: reads the effective set.",
        duty: Duty::Builds,
        preflight: true,
        look: capabilities,
        cases: &[BOUNDING, ROOT_WITHOUT],
        ..Check::NEW
    },
    Check {
        id: "privileges.excess",
        title: "The container has no rights over its node",
        how: "Reads the bounding set. In a user namespace of the pod's own, capabilities count only within it.",
        look: excess,
        cases: &[PRIVILEGED, ADMIN],
        ..Check::NEW
    },
];

pub(super) const SECCOMP: Case = Case {
    name: "refused",
    status: Status::Fail,
    means: "A build unpacks image layers and runs steps in a small container of its own. The filter of this container's runtime forbids the system calls that make one.",
    cure: "Bring k8s/seccomp/buildah.json to every node (kubectl apply -k k8s/seccomp), and in the pod spec, on this container:\n  securityContext:\n    seccompProfile: {type: Localhost, localhostProfile: buildah.json}\nWith podman: --security-opt seccomp=k8s/seccomp/buildah.json",
};
const SECCOMP_KILLS: Case = Case {
    name: "killed",
    means: "The filter of this container's runtime does not refuse this system call, it kills whoever makes it: a build would end without a word.",
    ..SECCOMP
};
const NO_UMOUNT: Case = Case {
    name: "umount2",
    status: Status::Warn,
    means: "The filter lets builds mount and forbids them to unmount. They work, but with the slow driver vfs, and every step's mounts stay until the whole build ends, with warnings: \"error unmounting\".",
    ..SECCOMP
};
const SECCOMP_ODD: Case = Case {
    name: "odd",
    status: Status::Warn,
    means: "The filter answers these system calls with an error that programs do not take for \"not there\", so they do not fall back to older ones. Builds mostly work, newer tools may not.",
    cure: "Let the profile answer them with ENOSYS (\"defaultErrnoRet\": 38), as k8s/seccomp/buildah.json does.",
};
const NO_NEW_PRIVS: Case = Case {
    name: "set",
    status: Status::Fail,
    means: "newuidmap, which gives a build its user ids, has its right from a file capability, and this flag makes the kernel ignore those. Buildah then says \"newuidmap: write to uid_map failed\", or goes on with a single id and fails at the first file that belongs to another user.",
    cure: "In the pod spec, on this container (leave the line out, or):\n  securityContext:\n    allowPrivilegeEscalation: true\n    capabilities: {drop: [ALL], add: [SETUID, SETGID]}\nWith podman: leave out --security-opt no-new-privileges\nOr, on clusters with user namespaces for pods, hostUsers: false and runAsUser: 0, where nothing needs to be gained.",
};
const BOUNDING: Case = Case {
    name: "bounding-set",
    status: Status::Fail,
    means: "newuidmap and newgidmap give a build its user ids with the capabilities SETUID and SETGID, and this container may not have them: not in its bounding set. Buildah then blames newuidmap itself (\"should be setuid or have filecaps\"), although that is fine.",
    cure: "In the pod spec, on this container:\n  securityContext:\n    capabilities: {drop: [ALL], add: [SETUID, SETGID]}\nWith podman: --cap-drop all --cap-add SETUID --cap-add SETGID",
};
const ROOT_WITHOUT: Case = Case {
    name: "root-without",
    status: Status::Fail,
    means: "Root of this container maps a build's user ids itself, and needs these capabilities for it.",
    cure: "In the pod spec, on this container:\n  securityContext:\n    capabilities: {drop: [ALL], add: [SETUID, SETGID, SETFCAP]}\nWith podman: --cap-drop all --cap-add SETUID --cap-add SETGID --cap-add SETFCAP",
};

const PRIVILEGED: Case = Case {
    name: "privileged",
    status: Status::Warn,
    means: "This container is privileged: a job that becomes root in it owns the node. Nothing here needs that.",
    cure: "In the pod spec, on this container, in place of privileged: true:\n  securityContext:\n    capabilities: {drop: [ALL], add: [SETUID, SETGID]}\n    seccompProfile: {type: Localhost, localhostProfile: buildah.json}\nWith podman: leave out --privileged",
};
const ADMIN: Case = Case {
    name: "sys-admin",
    means: "The capability SYS_ADMIN is within this container's reach, and it is most of what root may do on the node. Builds need it only inside their own user namespace.",
    cure: "In the pod spec, on this container:\n  securityContext:\n    capabilities: {drop: [ALL], add: [SETUID, SETGID]}\nWith podman: leave out --cap-add SYS_ADMIN",
    ..PRIVILEGED
};

/// Builds work without these: keyctl is never used under chroot isolation, the others are fallen back from.
const SPARED: [&str; 5] = ["clone3", "keyctl", "openat2", "setns", "umount2"];

/// glibc takes clone in place of clone3 only where the kernel seems not to know it.
fn is_spared(name: &str, errno: i32) -> bool {
    SPARED.contains(&name) && (name != "clone3" || errno == Errno::ENOSYS as i32)
}

fn probe_syscalls() -> Result<Heard, TrialError> {
    let trial = Trial {
        name: syscalls::NAME,
        arguments: Vec::new(),
        inside: Some(|_, _| {
            syscalls::child();
            0
        }),
        mapped: false,
        limit: Duration::from_secs(4),
    };
    trial.ask()
}

/// Whether the seccomp filter answers this system call with an error, or kills the process that makes it.
pub(super) fn is_filtered(call: &str) -> bool {
    probe_syscalls().is_ok_and(|heard| {
        heard.asking.as_deref() == Some(call) || heard.refused.iter().any(|(name, _)| name == call)
    })
}

fn syscalls(_: &Scene) -> Finding {
    let heard = match probe_syscalls() {
        Ok(heard) => heard,
        Err(error) => return Finding::case(SECCOMP_KILLS, error.to_string()),
    };
    if let Some(name) = heard.asking {
        return Finding::case(SECCOMP_KILLS, format!("{name}: the process was killed"));
    }
    let told = |refused: &[&(String, i32)]| {
        let told = refused
            .iter()
            .map(|(name, errno)| format!("{name}: {}", told(Errno::from_raw(*errno))));
        told.collect::<Vec<_>>().join(", ")
    };
    let (spared, needed): (Vec<_>, Vec<_>) =
        (heard.refused.iter()).partition(|(name, errno)| is_spared(name, *errno));
    if !needed.is_empty() {
        return Finding::case(SECCOMP, told(&needed));
    }
    if spared.iter().any(|(name, _)| name == "umount2") {
        return Finding::case(NO_UMOUNT, told(&spared));
    }
    let odd = |(name, errno): &(String, i32)| name != "keyctl" && *errno != Errno::ENOSYS as i32;
    let odd: Vec<_> = spared
        .iter()
        .copied()
        .filter(|refused| odd(refused))
        .collect();
    if !odd.is_empty() {
        return Finding::case(SECCOMP_ODD, told(&odd));
    }
    if spared.is_empty() {
        return Finding::ok("none is refused");
    }
    Finding::ok(format!("refused, but not needed: {}", told(&spared)))
}

fn no_new_privs(_: &Scene) -> Finding {
    let set = nix::sys::prctl::get_no_new_privs().unwrap_or(false);
    match (set, getuid().is_root()) {
        (false, _) => Finding::ok("no_new_privs is not set"),
        (true, true) => Finding::ok("no_new_privs is set; root needs to gain nothing"),
        (true, false) => Finding::case(
            NO_NEW_PRIVS,
            "no_new_privs is set (allowPrivilegeEscalation: false)",
        ),
    }
}

fn capabilities(_: &Scene) -> Finding {
    use Capability::{CAP_SETGID, CAP_SETUID};
    let root = getuid().is_root();
    let (set, needed): (_, &[Capability]) = if root {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        (CapSet::Effective, of_root(&release))
    } else {
        (CapSet::Bounding, &[CAP_SETUID, CAP_SETGID])
    };
    let has = |capability| caps::has_cap(None, set, capability).unwrap_or(false);
    let missing: Vec<String> = (needed.iter())
        .filter(|capability| !has(**capability))
        .map(|capability| capability.to_string().trim_start_matches("CAP_").to_owned())
        .collect();
    let missing = missing.join(" and ");
    match (missing.is_empty(), root) {
        (true, true) => Finding::ok("root with all it needs to map ids"),
        (true, false) => Finding::ok("the bounding set has SETUID and SETGID"),
        (false, true) => Finding::case(ROOT_WITHOUT, format!("root without {missing}")),
        (false, false) => Finding::case(BOUNDING, format!("the bounding set lacks {missing}")),
    }
}

/// What root needs to map ids: SETFCAP since Linux 5.12, db2e718a4798 ("require CAP_SETFCAP to map uid 0").
fn of_root(release: &str) -> &'static [Capability] {
    use Capability::{CAP_SETFCAP, CAP_SETGID, CAP_SETUID};
    match kernel::version(release) {
        Some(found) if found < (5, 12) => &[CAP_SETUID, CAP_SETGID],
        _ => &[CAP_SETUID, CAP_SETGID, CAP_SETFCAP],
    }
}

fn excess(_: &Scene) -> Finding {
    if on_node() {
        return Finding::skipped("this is a node, and no container");
    }
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let own = !parse_map(&map)
        .iter()
        .any(|line| line.outside == 0 && line.count > 0);
    if own {
        return Finding::ok("root of this container is nobody on the node");
    }
    let has = |capability| caps::has_cap(None, CapSet::Bounding, capability).unwrap_or(false);
    let all = caps::all()
        .into_iter()
        .filter(|capability| has(*capability));
    match (all.count(), has(Capability::CAP_SYS_ADMIN)) {
        (count, true) if count >= 38 => {
            Finding::case(PRIVILEGED, format!("{count} capabilities are within reach"))
        }
        (_, true) => Finding::case(ADMIN, "the bounding set has SYS_ADMIN"),
        (count, false) => Finding::ok(format!("{count} capabilities, SYS_ADMIN not among them")),
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
