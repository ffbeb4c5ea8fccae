//! User namespaces: whether one can be made, and what can be done in it.

use nix::errno::Errno;

use super::trials::{Refusal, ask, sysctl};
use crate::doctor::check::{Case, Check, Duty, Finding, Status};
use crate::doctor::scene::Scene;
use linux::userns_probe;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "userns.create",
        title: "A user namespace can be made",
        how: "A child makes one. Where it is refused, sysctls and the errno tell why.",
        duty: Duty::Builds,
        after: &["privileges.syscalls"],
        preflight: true,
        look: create,
        cases: &[OFF, USED_UP, CLONE_OFF, UBUNTU, CONFINED, CHROOTED, REFUSED],
        ..Check::NEW
    },
    Check {
        id: "userns.mount",
        title: "File systems can be mounted in it",
        how: "A child makes a user and a mount namespace, mounts a tmpfs, changes its root and unmounts.",
        duty: Duty::Builds,
        after: &["userns.create"],
        preflight: true,
        look: mount,
        cases: &[UBUNTU, CONFINED, NO_MOUNT],
        ..Check::NEW
    },
    Check {
        id: "userns.proc",
        title: "A build step's isolation is known",
        how: "A child makes a user and a PID namespace, asks for pivot_root and mounts a /proc of its own.",
        duty: Duty::Builds,
        after: &["userns.mount"],
        look: proc,
        cases: &[],
        ..Check::NEW
    },
];

const MEANS: &str = "Builds without root need a user namespace: a room in which an ordinary user is root over nothing but their own files.";

const OFF: Case = Case {
    name: "off",
    status: Status::Fail,
    means: MEANS,
    cure: "On the node, as root:\n  echo user.max_user_namespaces=28633 >/etc/sysctl.d/90-userns.conf && sysctl --system",
};
const USED_UP: Case = Case {
    name: "used-up",
    status: Status::Fail,
    means: "Builds without root need a user namespace of their own. The limit here is above zero, but one around this container is not, or all of it is in use, or namespaces are nested 32 deep already.",
    cure: "On the node, as root:\n  sysctl -w user.max_user_namespaces=28633\nWhere this container runs inside another one (kind, a dev container, a sandbox), the same line in that one, as its root.",
};
const CLONE_OFF: Case = Case {
    name: "clone-off",
    status: Status::Fail,
    means: MEANS,
    cure: "On the node, as root:\n  echo kernel.unprivileged_userns_clone=1 >/etc/sysctl.d/90-userns.conf && sysctl --system",
};
const UBUNTU: Case = Case {
    name: "apparmor-restricted",
    status: Status::Fail,
    means: "Ubuntu lets programs without an AppArmor profile of their own make user namespaces only without any rights in them, and a build without rights fails at its first mount.",
    cure: "On the node, as root:\n  echo kernel.apparmor_restrict_unprivileged_userns=0 >/etc/sysctl.d/90-userns.conf && sysctl --system\nOr load an AppArmor profile with the rule \"userns,\" on the nodes and name it in the pod spec, on this container:\n  securityContext:\n    appArmorProfile: {type: Localhost, localhostProfile: NAME}",
};
const CONFINED: Case = Case {
    name: "confined",
    status: Status::Fail,
    means: "The node's security module ({module}) confines this container and forbids what every build without root has to do.",
    cure: "AppArmor, in the pod spec, on this container (Kubernetes 1.30 and later):\n  securityContext:\n    appArmorProfile: {type: Unconfined}\nSELinux, in the same place:\n  securityContext:\n    seLinuxOptions: {type: container_engine_t}\nWith podman: --security-opt apparmor=unconfined, or --security-opt label=type:container_engine_t",
};
const CHROOTED: Case = Case {
    name: "chrooted",
    status: Status::Fail,
    means: "The kernel makes no user namespace for a process whose root directory was changed with chroot(2). Sandboxes that use chroot in place of a mount namespace do that.",
    cure: "Run this image by a container runtime that uses pivot_root. With runc, crun and containerd: leave out --no-pivot (no_pivot = false).",
};
const REFUSED: Case = Case {
    name: "refused",
    status: Status::Fail,
    means: "Builds without root need a user namespace, and the kernel refuses it although no sysctl and no filter that can be seen from here forbids it: a security module of the node, or a sandbox around the container.",
    cure: "On the node, as root, right after this message:\n  dmesg | tail -n 20; journalctl -k -n 20 | grep -iE 'apparmor|selinux|avc|userns'",
};
const NO_MOUNT: Case = Case {
    name: "no-mount",
    status: Status::Fail,
    means: "A user namespace can be made, but nothing may be mounted in it, and every build mounts.",
    cure: REFUSED.cure,
};

fn create(_: &Scene) -> Finding {
    match ask(userns_probe::CREATE, false) {
        Ok(()) => Finding::ok("made one"),
        Err(refusal) => why_not(&refusal),
    }
}

fn why_not(refusal: &Refusal) -> Finding {
    let told = refusal.told();
    match refusal.errno {
        Errno::ENOSPC | Errno::EUSERS => {
            let limit = sysctl("user.max_user_namespaces");
            let case = if limit == Some(0) { OFF } else { USED_UP };
            let limit = limit.map_or("unknown".to_owned(), |limit| limit.to_string());
            Finding::case(case, format!("user.max_user_namespaces = {limit}; {told}"))
        }
        _ if sysctl("kernel.unprivileged_userns_clone") == Some(0) => Finding::case(
            CLONE_OFF,
            format!("kernel.unprivileged_userns_clone = 0; {told}"),
        ),
        errno => restricted(errno, &told).unwrap_or_else(|| {
            let case = if chrooted() { CHROOTED } else { REFUSED };
            Finding::case(case, told)
        }),
    }
}

/// A security module that is seen to stand in the way.
fn restricted(errno: Errno, told: &str) -> Option<Finding> {
    if let Some(label) = confinement(errno) {
        let found = format!("{told}; confined by {label}");
        return Some(Finding::case(CONFINED, found).fill("module", label));
    }
    (sysctl("kernel.apparmor_restrict_unprivileged_userns") == Some(1)).then(|| {
        let found = format!("kernel.apparmor_restrict_unprivileged_userns = 1; {told}");
        Finding::case(UBUNTU, found)
    })
}

/// The AppArmor profile or SELinux domain of this process, if one confines it.
fn confinement(errno: Errno) -> Option<String> {
    let label = std::fs::read_to_string("/proc/self/attr/current").ok()?;
    let enforcing = std::fs::read_to_string("/sys/fs/selinux/enforce").ok();
    confined(&label, enforcing.as_deref(), errno)
}

/// What a label says, apparmor(7) and selinux(8). Containers see no file that says whether SELinux enforces: a label
/// and the errno of its refusals are enough then.
fn confined(label: &str, enforcing: Option<&str>, errno: Errno) -> Option<String> {
    let label = label.trim_end_matches(['\0', '\n']);
    if label.ends_with("(enforce)") {
        return Some(format!("AppArmor profile {label}"));
    }
    let domain = label.split(':').nth(2)?;
    let confined = !matches!(domain, "unconfined_t" | "spc_t" | "container_engine_t");
    let enforces = match enforcing.map(str::trim) {
        Some(read) => read != "0",
        None => matches!(errno, Errno::EACCES | Errno::EPERM),
    };
    (confined && enforces).then(|| format!("SELinux domain {domain}"))
}

/// Whether our root directory is none of a mount's: user_namespaces(7), `EPERM` of a chrooted caller.
fn chrooted() -> bool {
    let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = text.lines().filter_map(|line| line.split(' ').nth(4));
    !text.is_empty() && !points.into_iter().any(|point| point == "/")
}

fn mount(_: &Scene) -> Finding {
    let Err(refusal) = ask(userns_probe::MOUNT, false) else {
        return Finding::ok("mount, umount2 and chroot work");
    };
    let told = refusal.told();
    if refusal.call == userns_probe::UMOUNT {
        return Finding::ok(format!(
            "mount and chroot work; refused, but not needed: {told}"
        ));
    }
    restricted(refusal.errno, &told).unwrap_or_else(|| Finding::case(NO_MOUNT, told))
}

fn proc(_: &Scene) -> Finding {
    match ask(userns_probe::PROC, false) {
        Ok(()) => Finding::ok("isolation chroot, rootless and oci").value("oci"),
        Err(refusal) => {
            let why = match refusal.call.as_str() {
                "mount(proc)" => ", for parts of /proc are masked here, as in most pods",
                _ => "",
            };
            let told = refusal.told();
            let found = format!(
                "isolation chroot, which this image uses; not oci or rootless: {told}{why}"
            );
            Finding::ok(found).value("chroot")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_confines_is_told_by_the_label() {
        let told = |label| confined(label, Some("1\n"), Errno::EACCES);
        assert_eq!(
            told("cri-containerd.apparmor.d (enforce)\n").as_deref(),
            Some("AppArmor profile cri-containerd.apparmor.d (enforce)")
        );
        assert_eq!(told("cri-containerd.apparmor.d (complain)\n"), None);
        assert_eq!(told("unconfined\n"), None);
        let container = "system_u:system_r:container_t:s0:c1,c2\0";
        assert_eq!(
            told(container).as_deref(),
            Some("SELinux domain container_t")
        );
        assert_eq!(confined(container, Some("0\n"), Errno::EACCES), None);
        for (errno, known) in [
            (Errno::EACCES, true),
            (Errno::EPERM, true),
            (Errno::EINVAL, false),
        ] {
            assert_eq!(confined(container, None, errno).is_some(), known, "{errno}");
        }
        let free = "unconfined_u:unconfined_r:unconfined_t:s0\0";
        assert_eq!(confined(free, None, Errno::EPERM), None);
        assert_eq!(told("system_u:system_r:container_engine_t:s0\0"), None);
    }
}
