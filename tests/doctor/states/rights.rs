//! Operations that the container runtime refuses: system calls, capabilities, user namespaces, mounts.

use crate::rows::{assert_all, row};
use crate::state::{OWN_IDS, State, good};

const SYSCALLS: &str = "privileges.syscalls";
const PROFILE: &str = "localhostProfile: buildah.json";

#[test]
fn doctor_names_the_call_that_a_filter_refuses() {
    for call in ["unshare", "mount", "chroot"] {
        let result = good().refuse(call).doctor(&["--only", SYSCALLS]);
        result.assert(SYSCALLS, "fail refused", PROFILE);
        let found = result.check(SYSCALLS)["found"].as_str().unwrap().to_owned();
        assert_eq!(found, format!("{call}: EPERM (Operation not permitted)"));
    }
}

/// Refuses only the mount(2) that makes / private: its flags are MS_REC | MS_PRIVATE.
const BY_FLAGS: &str = r#""action": "SCMP_ACT_ALLOW", "args": [{"index": 3, "value": 278528, "valueTwo": 0, "op": "SCMP_CMP_NE"}]"#;

/// Linux before 5.6 returns it.
const NO_SUCH_CALL: &str = r#""action": "SCMP_ACT_ERRNO", "errnoRet": 38"#;

#[test]
fn doctor_finds_seccomp_filters() {
    // As Docker's profile does: it allows new processes and refuses new namespaces.
    let no_namespace = r#""action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]"#;
    assert_all([
        row(
            "clone with flags for a namespace",
            good().filter("clone", no_namespace),
        )
        .finds(SYSCALLS, "fail refused", PROFILE),
        row("podman's own profile", good().default_seccomp()).finds(
            SYSCALLS,
            "fail refused",
            PROFILE,
        ),
        row(
            "a filter that kills",
            good().filter("unshare", r#""action": "SCMP_ACT_KILL_PROCESS""#),
        )
        .finds(SYSCALLS, "fail killed", PROFILE)
        .finds("userns.create", "skipped", ""),
        row("umount2", good().refuse("umount2"))
            .finds(SYSCALLS, "warn umount2", PROFILE)
            .finds("userns.mount", "ok", "")
            .finds("storage.driver", "warn vfs", ""),
        row("openat2 refused with EPERM", good().refuse("openat2"))
            .finds(SYSCALLS, "warn odd", "defaultErrnoRet")
            .finds("idmap.map", "ok", ""),
        row(
            "openat2 refused with ENOSYS",
            good().filter("openat2", NO_SUCH_CALL),
        )
        .finds(SYSCALLS, "ok", "")
        .finds("idmap.map", "ok", ""),
        // The newuidmap of Debian 13 needs the call; this one stands for it.
        row(
            "openat2 refused, and a newuidmap that needs it",
            good().filter("openat2", NO_SUCH_CALL).setup(
                "cp /usr/bin/false /usr/bin/newuidmap; setcap cap_setuid+ep /usr/bin/newuidmap",
            ),
        )
        .finds("idmap.map", "fail openat2", PROFILE),
        row("setns refused with EPERM", good().refuse("setns")).finds(
            SYSCALLS,
            "warn odd",
            "defaultErrnoRet",
        ),
        row(
            "keyctl, which builds can do without",
            good().refuse("keyctl"),
        )
        .finds(SYSCALLS, "ok", ""),
        row(
            "pivot_root, which builds can do without",
            good().refuse("pivot_root"),
        )
        .finds("userns.mount", "ok", "")
        .finds("userns.proc", "ok", ""),
        row("clone3 refused with EPERM", good().refuse("clone3")).finds(
            "kernel.processes",
            "fail clone3",
            "\"errnoRet\": 38",
        ),
        row(
            "mount refused by its flags alone",
            good().filter("mount", BY_FLAGS),
        )
        .finds("userns.mount", "fail no-mount", "dmesg"),
    ]);
}

#[test]
fn doctor_finds_missing_and_excessive_rights() {
    let capabilities = "privileges.capabilities";
    assert_all([
        row(
            "allowPrivilegeEscalation: false",
            good().flags(&["--security-opt=no-new-privileges"]),
        )
        .finds(
            "privileges.no-new-privs",
            "fail set",
            "allowPrivilegeEscalation: true",
        )
        .finds("idmap.map", "skipped", ""),
        row("no capability", good().capabilities(&["--cap-drop=all"])).finds(
            capabilities,
            "fail bounding-set",
            "add: [SETUID, SETGID]",
        ),
        row(
            "SETGID missing",
            good().capabilities(&["--cap-drop=all", "--cap-add=SETUID"]),
        )
        .finds(capabilities, "fail bounding-set", "add: [SETUID, SETGID]"),
        row("root without SETFCAP", good().user("0:0")).finds(
            capabilities,
            "fail root-without",
            "add: [SETUID, SETGID, SETFCAP]",
        ),
        row(
            "hostUsers without what Buildah needs within",
            good().user("0:0").flags(&OWN_IDS[..2]),
        )
        .with(&["--profile", "userns"])
        .finds("kubernetes.user-namespace", "ok", "")
        .finds(capabilities, "fail root-without", "--cap-add SETFCAP"),
        row("hostUsers ignored", good())
            .with(&["--profile", "userns"])
            .finds(
                "kubernetes.user-namespace",
                "fail ignored",
                "containerd 2.0",
            ),
        row(
            "privileged",
            good().capabilities(&[]).flags(&["--privileged"]),
        )
        .finds(
            "privileges.excess",
            "warn privileged",
            "in place of privileged: true",
        ),
        row(
            "SYS_ADMIN",
            good().capabilities(&[
                "--cap-drop=all",
                "--cap-add=SETUID",
                "--cap-add=SETGID",
                "--cap-add=SYS_ADMIN",
            ]),
        )
        .finds(
            "privileges.excess",
            "warn sys-admin",
            "leave out --cap-add SYS_ADMIN",
        ),
        row("all of it", good())
            .finds("idmap.map", "ok", "")
            .finds("privileges.excess", "ok", "")
            .finds("storage.driver", "ok", ""),
    ]);
}

/// Sets the limit of nested user namespaces. Root of a user namespace may do that.
fn nested(limit: u32, within: &str) -> State {
    good().flags(&OWN_IDS).setup(&format!(
        "exec unshare --user --map-root-user bash -c 'echo {limit} >/proc/sys/user/max_user_namespaces; \
         exec {within} supervisor \"$@\"' bash \"$@\""
    ))
}

#[test]
fn doctor_finds_limits_of_user_namespaces() {
    let id = "userns.create";
    let jail = "mkdir -p /jail/proc /jail/dev; mount --rbind /proc /jail/proc; mount --rbind /dev /jail/dev; \
        cp /usr/local/bin/supervisor /jail/; exec chroot /jail /supervisor \"$@\"";
    assert_all([
        row("user.max_user_namespaces=0", nested(0, ""))
            .finds(id, "fail off", "user.max_user_namespaces=28633")
            .finds("userns.mount", "skipped", ""),
        row(
            "a limit further out",
            nested(1, "unshare --user --map-root-user"),
        )
        .finds(
            id,
            "fail used-up",
            "If this container runs inside another one",
        ),
        row("chroot in place of a mount namespace", good().setup(jail)).finds(
            id,
            "fail chrooted",
            "pivot_root",
        ),
    ]);
}

/// Refuses user namespaces without a visible reason: by a filter that no probe meets.
fn unexplained(state: State) -> State {
    let with = |action: &str, value: u32| {
        format!(
            r#"{action}, "args": [{{"index": 0, "value": 268435456, "valueTwo": {value}, "op": "SCMP_CMP_MASKED_EQ"}}]"#
        )
    };
    let (refuse, allow) = (
        with(r#""action": "SCMP_ACT_ERRNO", "errnoRet": 1"#, 268_435_456),
        with(r#""action": "SCMP_ACT_ALLOW""#, 0),
    );
    state.filters("unshare", &[&refuse, &allow])
}

/// A sysctl of another kernel: a file in its place.
fn sysctl(name: &str, value: u32) -> State {
    good().setup(&format!(
        "mount -t tmpfs tmpfs /proc/sys/kernel; echo {value} >/proc/sys/kernel/{name}"
    ))
}

#[test]
fn doctor_finds_sysctls_of_other_kernels() {
    let (create, mount) = ("userns.create", "userns.mount");
    let (debian, ubuntu) = (
        "unprivileged_userns_clone",
        "apparmor_restrict_unprivileged_userns",
    );
    assert_all([
        row("no visible reason", unexplained(good())).finds(create, "fail refused", "dmesg"),
        row("Debian's sysctl", unexplained(sysctl(debian, 0))).finds(
            create,
            "fail clone-off",
            "kernel.unprivileged_userns_clone=1",
        ),
        row("Ubuntu's sysctl", unexplained(sysctl(ubuntu, 1))).finds(
            create,
            "fail apparmor-restricted",
            "userns,",
        ),
        row(
            "Ubuntu's sysctl, which lets them be made",
            sysctl(ubuntu, 1).filter("mount", BY_FLAGS),
        )
        .finds(mount, "fail apparmor-restricted", "appArmorProfile"),
    ]);
}

#[test]
fn isolation_depends_on_the_mask_over_proc() {
    let isolation = |state: State| {
        let result = state.doctor(&["--only", "userns.proc"]);
        result.assert("userns.proc", "ok", "");
        let check = result.check("userns.proc");
        (
            check["value"].clone(),
            check["found"].as_str().unwrap().to_owned(),
        )
    };
    let (value, found) = isolation(good().filter("pivot_root", r#""action": "SCMP_ACT_ALLOW""#));
    assert_eq!(value, "chroot");
    assert!(found.contains("masked"), "{found}");
    let pivot_root = good().filter("pivot_root", r#""action": "SCMP_ACT_ALLOW""#);
    let (value, found) = isolation(pivot_root.flags(&["--security-opt=unmask=ALL"]));
    assert_eq!(value, "oci", "{found}");
}
