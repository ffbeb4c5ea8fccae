//! Each state, the check that finds it, and how it calls it.

use crate::state::{State, good};

/// A state, with the check's id and the status and case that are expected.
type Row = (
    &'static str,
    fn() -> State,
    &'static [&'static str],
    &'static [(&'static str, &'static str)],
);

/// Every row is looked at, whatever became of those before it.
fn assert_all(rows: &[Row]) {
    let wrong: Vec<&str> = (rows.iter())
        .filter(|row| std::panic::catch_unwind(|| assert_one(row)).is_err())
        .map(|(name, ..)| *name)
        .collect();
    assert!(wrong.is_empty(), "wrong: {wrong:?}");
}

fn assert_one((name, state, arguments, expected): &Row) {
    let only = expected.iter().map(|(id, _)| *id).collect::<Vec<_>>();
    let only = only.join(",");
    let mut all = vec!["--only", &only];
    all.extend(*arguments);
    let said = state().doctor(&all);
    for (id, expected) in *expected {
        println!("{name}: {id}");
        said.assert(id, expected);
    }
}

const SYSCALLS: &str = "privileges.syscalls";

#[test]
fn a_filter_is_told_by_the_call_that_it_refuses() {
    for call in ["unshare", "mount", "umount2", "chroot"] {
        let said = good().refuse(call).doctor(&["--only", SYSCALLS]);
        said.assert(SYSCALLS, "fail refused");
        let found = said.check(SYSCALLS)["found"].as_str().unwrap().to_owned();
        assert_eq!(found, format!("{call}: EPERM (Operation not permitted)"));
    }
    assert_all(&[
        (
            "podman's own profile",
            || good().default_seccomp(),
            &[],
            &[(SYSCALLS, "fail refused")],
        ),
        (
            "a filter that kills",
            || good().filter("unshare", r#""action": "SCMP_ACT_KILL_PROCESS""#),
            &[],
            &[(SYSCALLS, "fail killed"), ("userns.create", "skipped")],
        ),
        (
            "openat2 answered with EPERM",
            || good().refuse("openat2"),
            &[],
            &[(SYSCALLS, "warn odd")],
        ),
        (
            "what builds can do without",
            || good().refuse("pivot_root"),
            &[],
            &[("userns.mount", "ok")],
        ),
        (
            "clone3 answered with EPERM",
            || good().refuse("clone3"),
            &[],
            &[("kernel.processes", "fail clone3")],
        ),
        (
            "mount refused by its flags alone",
            || {
                good().filter("mount", r#""action": "SCMP_ACT_ALLOW", "args": [{"index": 3, "value": 278528, "valueTwo": 0, "op": "SCMP_CMP_NE"}]"#)
            },
            &[],
            &[("userns.mount", "fail no-mount")],
        ),
    ]);
}

#[test]
fn rights_that_are_missing() {
    assert_all(&[
        (
            "allowPrivilegeEscalation: false",
            || good().flags(&["--security-opt=no-new-privileges"]),
            &[],
            &[
                ("privileges.no-new-privs", "fail set"),
                ("idmap.map", "skipped"),
            ],
        ),
        (
            "no capability",
            || good().capabilities(&["--cap-drop=all"]),
            &[],
            &[("privileges.capabilities", "fail bounding-set")],
        ),
        (
            "SETGID missing",
            || good().capabilities(&["--cap-drop=all", "--cap-add=SETUID"]),
            &[],
            &[("privileges.capabilities", "fail bounding-set")],
        ),
        (
            "root without SETFCAP",
            || good().user("0:0"),
            &[],
            &[
                ("privileges.capabilities", "fail root-without"),
                ("userns.host-users", "warn host-root"),
            ],
        ),
        (
            "hostUsers ignored",
            good,
            &["--profile", "userns"],
            &[("userns.host-users", "fail ignored")],
        ),
        (
            "hostUsers at work",
            || good().flags(&["--uidmap=0:100000:65536", "--gidmap=0:100000:65536"]),
            &["--profile", "userns"],
            &[("userns.host-users", "ok")],
        ),
        (
            "all of it",
            good,
            &[],
            &[("idmap.map", "ok"), ("storage.driver", "ok")],
        ),
    ]);
}

const OWN_IDS: [&str; 3] = [
    "--uidmap=0:100000:65536",
    "--gidmap=0:100000:65536",
    "--security-opt=unmask=ALL",
];

/// Root of a user namespace may set its limit: of the namespaces within it, and within those.
fn nested(limit: u32, within: &str) -> String {
    format!(
        "exec unshare --user --map-root-user bash -c 'echo {limit} >/proc/sys/user/max_user_namespaces; \
         exec {within} supervisor \"$@\"' bash \"$@\""
    )
}

#[test]
fn user_namespaces_that_cannot_be_made() {
    assert_all(&[
        (
            "user.max_user_namespaces=0",
            || good().flags(&OWN_IDS).setup(&nested(0, "")),
            &[],
            &[("userns.create", "fail off"), ("userns.mount", "skipped")],
        ),
        (
            "a limit further out",
            || {
                good()
                    .flags(&OWN_IDS)
                    .setup(&nested(1, "unshare --user --map-root-user"))
            },
            &[],
            &[("userns.create", "fail used-up")],
        ),
        (
            "chroot in place of a mount namespace",
            || {
                good().setup("mkdir -p /jail/proc; mount --rbind /proc /jail/proc; mkdir /jail/dev; mount --rbind /dev /jail/dev; cp /usr/local/bin/supervisor /jail/; exec chroot /jail /supervisor \"$@\"")
            },
            &[],
            &[("userns.create", "fail chrooted")],
        ),
        ("/proc masked", good, &[], &[("userns.proc", "ok")]),
    ]);
    let value = |state: State| {
        state
            .doctor(&["--only", "userns.proc"])
            .check("userns.proc")["value"]
            .clone()
    };
    assert_eq!(value(good()), "chroot");
    assert_eq!(value(good().flags(&OWN_IDS)), "oci");
}

/// Content of both files with subordinate ids.
fn ranges(content: &str) -> State {
    good().setup(&format!(
        "printf '{content}' | tee /etc/subuid >/etc/subgid"
    ))
}

#[test]
fn subordinate_ids_that_do_not_fit() {
    const ID: &str = "idmap.subordinate";
    assert_all(&[
        (
            "no file",
            || good().setup("rm /etc/subuid"),
            &[],
            &[(ID, "fail missing")],
        ),
        (
            "no group file",
            || good().setup("rm /etc/subgid"),
            &[],
            &[(ID, "fail missing")],
        ),
        (
            "no entry",
            || ranges("other:1:999\\n"),
            &[],
            &[(ID, "fail no-entry"), ("idmap.map", "skipped")],
        ),
        (
            "malformed",
            || ranges("runner:1\\n"),
            &[],
            &[(ID, "fail malformed")],
        ),
        (
            "overlapping",
            || ranges("runner:1:900\\nrunner:800:100\\n"),
            &[],
            &[(ID, "fail overlap")],
        ),
        (
            "its own id",
            || ranges("runner:1:65535\\n"),
            &[],
            &[(ID, "fail own-id")],
        ),
        (
            "too few",
            || ranges("runner:1:999\\n"),
            &[],
            &[(ID, "warn too-few")],
        ),
        (
            "outside the pod's own ids",
            || {
                good()
                    .flags(&OWN_IDS)
                    .setup("printf 'runner:100000:65536\\n' | tee /etc/subuid >/etc/subgid")
            },
            &[],
            &[(ID, "fail outside")],
        ),
        (
            "by number",
            || ranges("1000:1:999\\n1000:1001:64535\\n"),
            &[],
            &[(ID, "ok"), ("idmap.map", "ok")],
        ),
    ]);
}

#[test]
fn helpers_that_have_lost_their_right() {
    const ID: &str = "idmap.helpers";
    assert_all(&[
        (
            "not there",
            || good().setup("rm /usr/bin/newgidmap"),
            &[],
            &[(ID, "fail missing")],
        ),
        (
            "capability lost",
            || good().setup("setcap -r /usr/bin/newuidmap"),
            &[],
            &[(ID, "fail no-right"), ("idmap.map", "skipped")],
        ),
        (
            "capability not effective",
            || good().setup("setcap cap_setuid+p /usr/bin/newuidmap"),
            &[],
            &[(ID, "fail no-right")],
        ),
        (
            "setuid root",
            || {
                good().setup("setcap -r /usr/bin/newuidmap; setcap -r /usr/bin/newgidmap; chmod u+s /usr/bin/newuidmap /usr/bin/newgidmap")
            },
            &[],
            &[(ID, "warn setuid")],
        ),
        (
            "nosuid",
            || {
                good()
                    .setup("mount --bind /usr/bin /usr/bin; mount -o remount,bind,nosuid /usr/bin")
            },
            &[],
            &[(ID, "fail nosuid")],
        ),
    ]);
}

#[test]
fn the_containers_own_file_systems() {
    assert_all(&[
        (
            "read-only root",
            || good().flags(&["--read-only"]),
            &[],
            &[("filesystem.root", "fail read-only")],
        ),
        (
            "no place for temporary files",
            || good().flags(&["--read-only", "--read-only-tmpfs=false"]),
            &[],
            &[("filesystem.temporary", "warn not-writable")],
        ),
        (
            "runtime directory of somebody else",
            || good().runtime("--mount=type=tmpfs,destination=/run/supervisor,tmpfs-mode=0700"),
            &[],
            &[("filesystem.runtime", "fail not-writable")],
        ),
        (
            "runtime directory on disk",
            || good().runtime(""),
            &[],
            &[("filesystem.runtime", "warn on-disk")],
        ),
        (
            "no home",
            || good().setup("usermod --home /home/runner runner"),
            &[],
            &[("filesystem.home", "fail missing")],
        ),
    ]);
}

/// A workspace on tmpfs with these options of the mount.
pub(crate) fn workspace(options: &str) -> State {
    good().workspace(&format!(
        "--mount=type=tmpfs,destination=/workspace,{options}"
    ))
}

#[test]
fn the_workspace() {
    assert_all(&[
        (
            "read-only",
            || good().workspace("--tmpfs=/workspace:ro"),
            &[],
            &[("workspace.writable", "fail read-only")],
        ),
        (
            "somebody else's",
            || workspace("tmpfs-mode=0755"),
            &[],
            &[
                ("workspace.writable", "fail wrong-owner"),
                ("storage.overlay", "skipped"),
            ],
        ),
        (
            "noexec",
            || workspace("U=true,noexec"),
            &[],
            &[("workspace.flags", "fail noexec")],
        ),
        (
            "nosuid",
            || workspace("U=true,exec,nosuid"),
            &[],
            &[("workspace.flags", "warn nosuid")],
        ),
        (
            "full",
            || workspace("U=true,exec,suid,tmpfs-size=50m"),
            &[],
            &[("workspace.space", "fail full")],
        ),
        (
            "no inodes",
            || good().setup("mount -t tmpfs -o mode=1777,nr_inodes=500 tmpfs /workspace"),
            &[],
            &[("workspace.space", "fail full")],
        ),
        (
            "narrow",
            || workspace("U=true,exec,suid,tmpfs-size=500m"),
            &[],
            &[("workspace.space", "warn narrow")],
        ),
        (
            "no volume",
            || good().workspace(""),
            &[],
            &[("workspace.volume", "warn none")],
        ),
    ]);
}

/// /dev/fuse, and no kernel overlay: the graph root lies on one.
fn fuse(setup: &str) -> State {
    good()
        .workspace("")
        .flags(&["--device=/dev/fuse"])
        .setup(&format!("chmod 0666 /dev/fuse; {setup}"))
}

fn forced(driver: &str) -> State {
    good()
        .workspace("")
        .flags(&[&format!("--env=SUPERVISOR_STORAGE__DRIVER={driver}")])
}

#[test]
fn storage_drivers() {
    const OVERLAY: &str = "storage.overlay";
    const FUSE: &str = "storage.fuse-overlayfs";
    const DRIVER: &str = "storage.driver";
    assert_all(&[
        (
            "on overlay, no device",
            || good().workspace(""),
            &[],
            &[
                (OVERLAY, "warn on-overlay"),
                (FUSE, "warn no-device"),
                (DRIVER, "warn vfs"),
            ],
        ),
        (
            "a file system without extended attributes",
            || good().setup("mount -t ramfs ramfs /workspace; chmod 1777 /workspace"),
            &[],
            &[(OVERLAY, "warn refused")],
        ),
        (
            "device mounted, not granted",
            || {
                good()
                    .workspace("")
                    .setup("mknod -m 0666 /dev/fuse c 10 229")
            },
            &[],
            &[(FUSE, "warn device-forbidden")],
        ),
        (
            "device of root alone",
            || {
                good()
                    .workspace("")
                    .flags(&["--device=/dev/fuse"])
                    .setup("chmod 0600 /dev/fuse")
            },
            &[],
            &[(FUSE, "warn device-closed")],
        ),
        (
            "device at work",
            || fuse("true"),
            &[],
            &[(FUSE, "ok"), (DRIVER, "warn fuse")],
        ),
        (
            "no program",
            || fuse("rm /usr/bin/fuse-overlayfs"),
            &[],
            &[(FUSE, "warn no-program"), (DRIVER, "warn vfs")],
        ),
        (
            "old program",
            || {
                fuse(
                    "printf '#!/bin/sh\\necho fuse-overlayfs: version 0.3\\n' >/usr/bin/fuse-overlayfs",
                )
            },
            &[],
            &[(FUSE, "warn old")],
        ),
        (
            "a program that fails",
            || {
                fuse(
                    "printf '#!/bin/sh\\n[ $1 = --version ] && echo version 1.10\\n' >/usr/bin/fuse-overlayfs",
                )
            },
            &[],
            &[(FUSE, "warn refused")],
        ),
        (
            "overlay forced",
            || forced("overlay"),
            &[],
            &[(DRIVER, "fail forced"), ("storage.build", "skipped")],
        ),
        (
            "fuse-overlayfs forced",
            || forced("fuse-overlayfs"),
            &[],
            &[(DRIVER, "fail forced")],
        ),
        ("vfs chosen", || forced("vfs"), &[], &[(DRIVER, "ok")]),
        (
            "no builds",
            || forced("none"),
            &[],
            &[(DRIVER, "skipped"), ("userns.create", "skipped")],
        ),
    ]);
}

/// A program that says this, at this path.
fn program(path: &str, says: &str) -> State {
    good().setup(&format!(
        "printf '#!/bin/sh\\n{says}\\n' >{path}; chmod 0755 {path}"
    ))
}

#[test]
fn programs() {
    assert_all(&[
        (
            "no act",
            || good().setup("rm /usr/local/bin/act"),
            &["--flavor", "local"],
            &[("tools.runner", "fail missing")],
        ),
        (
            "act",
            good,
            &["--flavor", "local"],
            &[("tools.runner", "ok")],
        ),
        (
            "of another machine",
            || {
                good().setup("printf '\\x16' | dd of=/usr/local/bin/act bs=1 seek=18 conv=notrunc status=none")
            },
            &["--flavor", "local"],
            &[("tools.runner", "fail foreign")],
        ),
        (
            "no buildah",
            || good().setup("rm /usr/bin/buildah"),
            &[],
            &[
                ("tools.buildah", "fail missing"),
                ("storage.build", "skipped"),
            ],
        ),
        (
            "buildah that does not run",
            || program("/usr/bin/buildah", "exit 3"),
            &[],
            &[("tools.buildah", "fail broken")],
        ),
        (
            "buildah of another machine",
            || {
                good().setup(
                    "printf '\\x16' | dd of=/usr/bin/buildah bs=1 seek=18 conv=notrunc status=none",
                )
            },
            &[],
            &[("tools.buildah", "fail foreign")],
        ),
        (
            "an old buildah",
            || program("/usr/bin/buildah", "echo buildah version 1.28.2"),
            &[],
            &[("tools.buildah", "warn old")],
        ),
        (
            "crun that does not run",
            || program("/usr/bin/crun", "exit 1"),
            &[],
            &[("tools.runtime", "warn broken")],
        ),
        (
            "no runtime",
            || good().setup("rm /usr/bin/crun"),
            &[],
            &[("tools.runtime", "ok")],
        ),
        (
            "no git",
            || good().setup("rm /usr/bin/git"),
            &[],
            &[("tools.git", "warn missing")],
        ),
    ]);
}

/// A staged secret on a memory volume.
fn secret(value: &str, more: &str) -> State {
    let setup = format!(
        "mkdir -p /run/secrets/supervisor; mount -t tmpfs -o mode=0700 tmpfs /run/secrets/supervisor; cd /run/secrets/supervisor; \
         printf '%s' '{value}' >TOKEN; chmod 0400 TOKEN; chown -R 1000:1000 .; {more}; cd /"
    );
    good().setup(&setup)
}

/// A token that expires so many seconds from now, and was issued as many ago.
fn token(seconds: i64) -> String {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let at = |seconds: i64| now.checked_add_signed(seconds).unwrap();
    let claims = format!(r#"{{"iat":{},"exp":{}}}"#, at(-seconds), at(seconds));
    format!("eyJhbGciOiJub25lIn0.{}.c2ln", base64(&claims))
}

fn base64(text: &str) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits: Vec<u8> = text
        .bytes()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1))
        .collect();
    let letter =
        |bits: &[u8]| (0..6).fold(0, |all, bit| all << 1 | bits.get(bit).copied().unwrap_or(0));
    bits.chunks(6)
        .map(|bits| char::from(LETTERS[usize::from(letter(bits))]))
        .collect()
}

#[test]
fn secrets() {
    const PRESENT: &str = "secrets.present";
    assert_all(&[
        (
            "in order",
            || secret(&token(3600), "true"),
            &[],
            &[
                (PRESENT, "ok"),
                ("secrets.expired", "ok"),
                ("secrets.mode", "ok"),
                ("secrets.exposed", "ok"),
            ],
        ),
        (
            "root's",
            || secret("x", "chown root TOKEN"),
            &[],
            &[(PRESENT, "fail unreadable"), ("secrets.mode", "skipped")],
        ),
        (
            "missing",
            || secret("x", "true").flags(&["--env=SUPERVISOR_SECRETS__REQUIRED=OTHER"]),
            &[],
            &[(PRESENT, "fail missing")],
        ),
        (
            "empty",
            || secret("", "true"),
            &[],
            &[(PRESENT, "fail empty")],
        ),
        (
            "expired",
            || secret(&token(-60), "true"),
            &[],
            &[("secrets.expired", "fail expired")],
        ),
        (
            "soon to expire",
            || secret(&token(100), "true"),
            &[],
            &[("secrets.expired", "warn expires-soon")],
        ),
        (
            "open to others",
            || secret("x", "chmod 0644 TOKEN"),
            &[],
            &[("secrets.mode", "warn loose")],
        ),
        (
            "not to be removed",
            || secret("x", "chmod 0500 ."),
            &[],
            &[("secrets.exposed", "warn exposed")],
        ),
        ("none", good, &[], &[(PRESENT, "skipped")]),
    ]);
}

const LIMIT: &str = "kernel.processes";

#[test]
fn limits_and_surroundings() {
    assert_all(&[
        (
            "24 processes",
            || good().flags(&["--pids-limit=24"]),
            &[],
            &[(LIMIT, "fail exhausted")],
        ),
        (
            "100 processes",
            || good().flags(&["--pids-limit=100"]),
            &[],
            &[(LIMIT, "warn few")],
        ),
        (
            "RLIMIT_NPROC",
            || good().flags(&["--ulimit=nproc=20:20"]),
            &[],
            &[(LIMIT, "fail exhausted")],
        ),
        (
            "64 MiB",
            || good().flags(&["--memory=64m"]),
            &[],
            &[("kernel.memory", "fail too-little")],
        ),
        (
            "256 MiB",
            || good().flags(&["--memory=256m"]),
            &[],
            &[("kernel.memory", "warn little")],
        ),
        (
            "256 files",
            || good().flags(&["--ulimit=nofile=256:256"]),
            &[],
            &[("kernel.files", "warn few")],
        ),
        (
            "Docker's socket",
            || good().file("/var/run/docker.sock", ""),
            &[],
            &[("kubernetes.socket", "warn mounted")],
        ),
        (
            "a service account, and a clock an hour behind it",
            || {
                good().file(
                    "/var/run/secrets/kubernetes.io/serviceaccount/token",
                    &token(-3600),
                )
            },
            &[],
            &[
                ("kubernetes.service-account", "warn mounted"),
                ("kernel.clock", "warn behind"),
            ],
        ),
        (
            "privileged",
            || good().capabilities(&[]).flags(&["--privileged"]),
            &[],
            &[("kubernetes.privileged", "warn privileged")],
        ),
        (
            "hostPID",
            || good().flags(&["--pid=host"]),
            &[],
            &[("kubernetes.host-pid", "warn host")],
        ),
        (
            "hostNetwork",
            || good().without("--network=none").flags(&["--network=host"]),
            &[],
            &[("kubernetes.host-network", "warn host")],
        ),
        (
            "a name that nobody has",
            good,
            &["--reach", "registry.invalid"],
            &[
                ("network.names", "fail unknown"),
                ("network.ports", "skipped"),
            ],
        ),
        (
            "a port where nobody listens",
            good,
            &["--reach", "127.0.0.1:9"],
            &[("network.ports", "fail silent")],
        ),
        (
            "all of it",
            good,
            &[],
            &[
                ("kernel.files", "ok"),
                ("kernel.cgroups", "ok"),
                ("kernel.clock", "ok"),
                ("kubernetes.pid-1", "ok"),
            ],
        ),
    ]);
    let said = |state: State| state.doctor(&["--only", "kubernetes.pid-1"]);
    assert_eq!(said(good()).check("kubernetes.pid-1")["value"], "yes");
}
