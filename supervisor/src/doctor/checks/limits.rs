//! What the runtime lets this container have at most: processes, memory, open files.

use std::process::Command;

use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::getuid;

use super::trials::told;
use crate::doctor::check::{Case, Check, Duty, Finding, Status};
use crate::doctor::scene::Scene;
use linux::fork;

/// The check that all others need: each runs in a process of its own.
pub(in crate::doctor) const PROCESSES: &str = "kernel.processes";

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: PROCESSES,
        title: "Enough processes can run",
        how: "Starts some, and reads RLIMIT_NPROC and pids.max of this container's cgroup.",
        preflight: true,
        look: processes,
        cases: &[CLONE3, TOO_FEW_PROCESSES, FEW_PROCESSES],
        ..Check::NEW
    },
    Check {
        id: "kernel.memory",
        title: "There is enough memory",
        how: "Reads memory.max of this container's cgroup (memory.limit_in_bytes under cgroup v1).",
        duty: Duty::Builds,
        look: memory,
        cases: &[NO_MEMORY, LITTLE_MEMORY],
        ..Check::NEW
    },
    Check {
        id: "kernel.open-files",
        title: "Enough files can be open",
        how: "Reads RLIMIT_NOFILE, getrlimit(2).",
        look: open_files,
        cases: &[FEW_FILES],
        ..Check::NEW
    },
];

const CLONE3: Case = Case {
    name: "clone3",
    status: Status::Fail,
    means: "No program can start another one: the container's seccomp filter answers clone3 with \"not permitted\", where the C library falls back to clone only on \"not implemented\".",
    cure: "Update the node's container runtime (libseccomp 2.5, runc 1.0.0-rc95, Docker 20.10.10 or later), or in the seccomp profile:\n  {\"names\": [\"clone3\"], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 38}\nWith podman: --security-opt seccomp=k8s/seccomp/buildah.json",
};
const PROCESSES_CURE: &str = "On the node, in the kubelet's configuration, then restart it:\n  podPidsLimit: 4096\nWith podman: --pids-limit 4096 --ulimit nproc=4096:4096";
const TOO_FEW_PROCESSES: Case = Case {
    name: "too-few",
    status: Status::Fail,
    means: "A build of one small step needs some thirty processes and threads at once, and this container may not have so many: \"fork: Resource temporarily unavailable\".",
    cure: PROCESSES_CURE,
};
const FEW_PROCESSES: Case = Case {
    name: "few",
    status: Status::Warn,
    means: "Small builds work. Parallel builds and test suites start more processes and threads than this limit allows: \"fork: Resource temporarily unavailable\".",
    cure: PROCESSES_CURE,
};
const MEMORY_CURE: &str = "In the pod spec, on this container:\n  resources:\n    limits: {memory: 2Gi}\nWith podman: --memory 2g";
const NO_MEMORY: Case = Case {
    name: "too-little",
    status: Status::Fail,
    means: "Buildah alone needs more memory than this container may have: the kernel kills it in the middle of a build (\"signal: killed\", exit code 137).",
    cure: MEMORY_CURE,
};
const LITTLE_MEMORY: Case = Case {
    name: "little",
    status: Status::Warn,
    means: "A build that packs large layers, or whose steps compile something, is killed by the kernel when this limit is reached (exit code 137). What a memory volume holds counts too.",
    cure: MEMORY_CURE,
};
const FEW_FILES: Case = Case {
    name: "few",
    status: Status::Warn,
    means: "Large builds and test suites hold more files open than this limit allows: \"too many open files\".",
    cure: "On the node, for containerd (systemctl edit containerd), then restart it:\n  [Service]\n  LimitNOFILE=1048576\nWith podman: --ulimit nofile=16384:16384",
};

/// Measured on two cores: a build of two steps failed with 24 and worked with 32, which is not to be relied on.
const PROCESSES_NEEDED: u64 = 40;
const PROCESSES_WANTED: u64 = 256;
/// As many as a build of one step needs beside this process.
const CROWD: usize = 32;
/// Measured: Buildah was killed with 64 MiB and worked with 128.
const MEMORY_NEEDED: u64 = 100 * MIB;
const MEMORY_WANTED: u64 = 512 * MIB;
const FILES_WANTED: u64 = 1024;
const MIB: u64 = 1 << 20;

/// What it means that no child could be started.
pub(in crate::doctor) fn no_child(error: &std::io::Error) -> Finding {
    let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
    let case = if errno == Errno::EPERM {
        CLONE3
    } else {
        TOO_FEW_PROCESSES
    };
    Finding::case(
        case,
        format!("no process could be started: {}", told(errno)),
    )
}

fn processes(scene: &Scene) -> Finding {
    if let Err(error) = start_one() {
        return no_child(&error);
    }
    // A limit above the container's cgroup is not to be read. Before a job there is no time for it.
    if scene.guarded && is_too_many(CROWD) {
        let found = format!("not even {CROWD} more could be started");
        return Finding::case(TOO_FEW_PROCESSES, found);
    }
    let used = cgroup_number("pids", "pids.current", "pids.current").unwrap_or(0);
    let group = cgroup_number("pids", "pids.max", "pids.max").map(|limit| (limit, "pids.max"));
    // Root is not bound by its own.
    let own = getrlimit(Resource::RLIMIT_NPROC).ok().map(|(soft, _)| soft);
    let own = own.filter(|soft| *soft != u64::MAX && !getuid().is_root());
    let own = own.map(|soft| (soft, "RLIMIT_NPROC"));
    let Some((limit, name)) = group.into_iter().chain(own).min() else {
        return Finding::ok("without a limit");
    };
    let found = format!("{name} is {limit}, {used} in use");
    match limit.saturating_sub(used) {
        left if limit < PROCESSES_NEEDED || left < PROCESSES_NEEDED / 2 => {
            Finding::case(TOO_FEW_PROCESSES, found)
        }
        left if left < PROCESSES_WANTED => Finding::case(FEW_PROCESSES, found),
        _ => Finding::ok(found),
    }
}

/// Another program, as a build starts them: by clone3(2). A directory is none, and that is said in the new process.
fn start_one() -> std::io::Result<()> {
    match Command::new("/").spawn() {
        Err(error) if error.raw_os_error() == Some(libc::EACCES) => Ok(()),
        started => started.map(drop),
    }
}

fn is_too_many(count: usize) -> bool {
    let started = fork::fork_many(count);
    started.is_err_and(|error| error.raw_os_error() == Some(libc::EAGAIN))
}

fn memory(_: &Scene) -> Finding {
    let limit = cgroup_number("memory", "memory.max", "memory.limit_in_bytes");
    // cgroup v1 has a number near 2^63 for no limit.
    let Some(bytes) = limit.filter(|bytes| *bytes < 1 << 60) else {
        return Finding::ok("without a limit");
    };
    let found = format!("at most {} MiB", bytes / MIB);
    match bytes {
        0..MEMORY_NEEDED => Finding::case(NO_MEMORY, found),
        MEMORY_NEEDED..MEMORY_WANTED => Finding::case(LITTLE_MEMORY, found),
        _ => Finding::ok(found),
    }
}

fn open_files(_: &Scene) -> Finding {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return Finding::skipped("getrlimit(2) does not tell");
    };
    let found = format!("RLIMIT_NOFILE is {soft}, at most {hard}");
    // Buildah and most runners raise the soft limit to the hard one themselves.
    if hard < FILES_WANTED {
        return Finding::case(FEW_FILES, found);
    }
    Finding::ok(found)
}

/// A number of this container's cgroup; `None` where there is none, or it cannot be seen.
fn cgroup_number(controller: &str, unified: &str, legacy: &str) -> Option<u64> {
    let paths = [
        format!("/sys/fs/cgroup/{unified}"),
        format!("/sys/fs/cgroup/{controller}/{legacy}"),
    ];
    let text = paths
        .iter()
        .find_map(|path| std::fs::read_to_string(path).ok())?;
    text.trim().parse().ok()
}
