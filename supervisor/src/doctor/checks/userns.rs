//! User namespaces: whether one can be made, and whether mounts work in it.

use nix::errno::Errno;

use super::probes::{Refusal, probe, sysctl};
use crate::doctor::check::{Check, Finding, Observation};
use crate::doctor::context::Context;
use crate::doctor::duty::Duty;
use linux::userns_probe;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "userns.create",
        title: "A user namespace can be made",
        method: "A child process makes one. If the kernel refuses, sysctls and the errno show the reason.",
        duty: Duty::Builds,
        needs: &["privileges.syscalls"],
        preflight: true,
        run: create,
        findings: &[OFF, USED_UP, CLONE_OFF, UBUNTU, CONFINED, CHROOTED, REFUSED],
        ..Check::DEFAULT
    },
    Check {
        id: "userns.mount",
        title: "File systems can be mounted in it",
        method: "A child process makes a user and a mount namespace, mounts a tmpfs, changes its root and unmounts.",
        duty: Duty::Builds,
        needs: &["userns.create"],
        preflight: true,
        run: mount,
        findings: &[UBUNTU, CONFINED, NO_MOUNT],
        ..Check::DEFAULT
    },
    Check {
        id: "userns.proc",
        title: "The isolation of build steps is known",
        method: "A child process makes a user and a PID namespace, tries pivot_root, and mounts a /proc of its own.",
        duty: Duty::Builds,
        needs: &["userns.mount"],
        run: proc,
        findings: &[],
        ..Check::DEFAULT
    },
];

const MEANS: &str = "Builds without root need a user namespace. In it, an ordinary user is root, but only over its own files.";

const OFF: Finding = Finding::fails("off")
    .means(MEANS)
    .remedy("On the node, as root:\n  echo user.max_user_namespaces=28633 >/etc/sysctl.d/90-userns.conf && sysctl --system");
const USED_UP: Finding = Finding::fails("used-up")
    .means("Builds without root need a user namespace of their own. The limit here is above zero. But a limit outside this container is zero or used up, or namespaces are already nested 32 deep.")
    .remedy("On the node, as root:\n  sysctl -w user.max_user_namespaces=28633\nIf this container runs inside another one (kind, a dev container, a sandbox), run the same line there, as its root.");
const CLONE_OFF: Finding = Finding::fails("clone-off")
    .means(MEANS)
    .remedy("On the node, as root:\n  echo kernel.unprivileged_userns_clone=1 >/etc/sysctl.d/90-userns.conf && sysctl --system");
const UBUNTU: Finding = Finding::fails("apparmor-restricted")
    .means("On Ubuntu, a program without an AppArmor profile of its own gets a user namespace without any rights. A build without rights fails at its first mount.")
    .remedy("On the node, as root:\n  echo kernel.apparmor_restrict_unprivileged_userns=0 >/etc/sysctl.d/90-userns.conf && sysctl --system\nOr load an AppArmor profile with the rule \"userns,\" on the nodes. Name it in the pod spec, on this container:\n  securityContext:\n    appArmorProfile: {type: Localhost, localhostProfile: NAME}");
const CONFINED: Finding = Finding::fails("confined")
    .means("The node's security module ({module}) confines this container. It forbids an operation that every build without root needs.")
    .remedy("AppArmor, in the pod spec, on this container (Kubernetes 1.30 and later):\n  securityContext:\n    appArmorProfile: {type: Unconfined}\nSELinux, at the same place:\n  securityContext:\n    seLinuxOptions: {type: container_engine_t}\nWith podman: --security-opt apparmor=unconfined, or --security-opt label=type:container_engine_t");
const CHROOTED: Finding = Finding::fails("chrooted")
    .means("The kernel makes no user namespace for a process after chroot(2). Some sandboxes use chroot in place of a mount namespace.")
    .remedy("Run this image with a container runtime that uses pivot_root. For runc, crun and containerd: leave out --no-pivot (no_pivot = false).");
const REFUSED: Finding = Finding::fails("refused")
    .means("Builds without root need a user namespace, and the kernel refuses it. No sysctl and no visible filter forbids it. The cause is a security module of the node, or a sandbox around the container.")
    .remedy("On the node, as root, right after this message:\n  dmesg | tail -n 20; journalctl -k -n 20 | grep -iE 'apparmor|selinux|avc|userns'");
const NO_MOUNT: Finding = Finding::fails("no-mount")
    .means("A user namespace can be made, but a mount in it is refused. Every build mounts.")
    .remedy(REFUSED.remedy);

fn create(_: &Context) -> Observation {
    match probe(userns_probe::CREATE, false) {
        Ok(()) => Observation::ok("a child process made one"),
        Err(refusal) => reason(&refusal),
    }
}

fn reason(refusal: &Refusal) -> Observation {
    let text = refusal.text();
    match refusal.errno {
        Errno::ENOSPC | Errno::EUSERS => {
            let limit = sysctl("user.max_user_namespaces");
            let finding = if limit == Some(0) { OFF } else { USED_UP };
            let limit = limit.map_or("unknown".to_owned(), |limit| limit.to_string());
            Observation::problem(
                finding,
                format!("user.max_user_namespaces = {limit}; {text}"),
            )
        }
        _ if sysctl("kernel.unprivileged_userns_clone") == Some(0) => Observation::problem(
            CLONE_OFF,
            format!("kernel.unprivileged_userns_clone = 0; {text}"),
        ),
        errno => restricted(errno, &text).unwrap_or_else(|| {
            let finding = if chrooted() { CHROOTED } else { REFUSED };
            Observation::problem(finding, text)
        }),
    }
}

/// Returns the problem if a security module forbids the call.
fn restricted(errno: Errno, text: &str) -> Option<Observation> {
    if let Some(label) = confinement(errno) {
        let found = format!("{text}; confined by {label}");
        return Some(Observation::problem(CONFINED, found).fill("module", label));
    }
    (sysctl("kernel.apparmor_restrict_unprivileged_userns") == Some(1)).then(|| {
        let found = format!("kernel.apparmor_restrict_unprivileged_userns = 1; {text}");
        Observation::problem(UBUNTU, found)
    })
}

/// The AppArmor profile or SELinux domain of this process, if one confines it.
fn confinement(errno: Errno) -> Option<String> {
    let label = std::fs::read_to_string("/proc/self/attr/current").ok()?;
    let enforcing = std::fs::read_to_string("/sys/fs/selinux/enforce").ok();
    confining_label(&label, enforcing.as_deref(), errno)
}

/// Parses a label of apparmor(7) or selinux(8). In a container, no file shows whether SELinux enforces its policy. Then
/// the label and the errno of a refusal decide.
fn confining_label(label: &str, enforcing: Option<&str>, errno: Errno) -> Option<String> {
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

/// Whether our root directory is no mount point: user_namespaces(7), `EPERM` of a chrooted caller.
fn chrooted() -> bool {
    let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = text.lines().filter_map(|line| line.split(' ').nth(4));
    !text.is_empty() && !points.into_iter().any(|point| point == "/")
}

fn mount(_: &Context) -> Observation {
    let Err(refusal) = probe(userns_probe::MOUNT, false) else {
        return Observation::ok("mount, umount2 and chroot work");
    };
    let text = refusal.text();
    if refusal.call == userns_probe::UMOUNT {
        return Observation::ok(format!(
            "mount and chroot work; refused, but not needed: {text}"
        ));
    }
    restricted(refusal.errno, &text).unwrap_or_else(|| Observation::problem(NO_MOUNT, text))
}

fn proc(_: &Context) -> Observation {
    match probe(userns_probe::PROC, false) {
        Ok(()) => Observation::ok("isolation chroot, rootless and oci").value("oci"),
        Err(refusal) => {
            let why = match refusal.call.as_str() {
                "mount(proc)" => ", because parts of /proc are masked here, as in most pods",
                _ => "",
            };
            let text = refusal.text();
            let found = format!(
                "isolation chroot, which this image uses; not oci or rootless: {text}{why}"
            );
            Observation::ok(found).value("chroot")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_names_the_confining_profile() {
        let named = |label| confining_label(label, Some("1\n"), Errno::EACCES);
        assert_eq!(
            named("cri-containerd.apparmor.d (enforce)\n").as_deref(),
            Some("AppArmor profile cri-containerd.apparmor.d (enforce)")
        );
        assert_eq!(named("cri-containerd.apparmor.d (complain)\n"), None);
        assert_eq!(named("unconfined\n"), None);
        let container = "system_u:system_r:container_t:s0:c1,c2\0";
        assert_eq!(
            named(container).as_deref(),
            Some("SELinux domain container_t")
        );
        assert_eq!(confining_label(container, Some("0\n"), Errno::EACCES), None);
        for (errno, known) in [
            (Errno::EACCES, true),
            (Errno::EPERM, true),
            (Errno::EINVAL, false),
        ] {
            assert_eq!(
                confining_label(container, None, errno).is_some(),
                known,
                "{errno}"
            );
        }
        let free = "unconfined_u:unconfined_r:unconfined_t:s0\0";
        assert_eq!(confining_label(free, None, Errno::EPERM), None);
        assert_eq!(named("system_u:system_r:container_engine_t:s0\0"), None);
    }
}
