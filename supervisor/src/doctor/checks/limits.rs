//! Limits of this container: processes, memory, open files.

use std::process::Command;

use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::getuid;

use super::probes::errno_text;
use crate::doctor::check::{Check, Finding, Observation};
use crate::doctor::context::Context;
use crate::doctor::duty::Duty;
use linux::errno::to_nix;
use linux::fork;

/// Every other check needs this one, because each runs in a process of its own.
pub(in crate::doctor) const PROCESSES: &str = "kernel.processes";

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: PROCESSES,
        title: "Enough processes can run",
        method: "Starts some processes. Reads RLIMIT_NPROC, and pids.max of this container's cgroup.",
        preflight: true,
        run: processes,
        findings: &[CLONE3, TOO_FEW_PROCESSES, FEW_PROCESSES],
        ..Check::DEFAULT
    },
    Check {
        id: "kernel.memory",
        title: "There is enough memory",
        method: "Reads memory.max of this container's cgroup (memory.limit_in_bytes under cgroup v1).",
        duty: Duty::Builds,
        run: memory,
        findings: &[NO_MEMORY, LITTLE_MEMORY],
        ..Check::DEFAULT
    },
    Check {
        id: "kernel.open-files",
        title: "Enough files can be open",
        method: "Reads RLIMIT_NOFILE, getrlimit(2).",
        run: open_files,
        findings: &[FEW_FILES],
        ..Check::DEFAULT
    },
];

const CLONE3: Finding = Finding::fails("clone3")
    .means("No program can start another one. The container's seccomp filter refuses clone3 with \"not permitted\", but the C library falls back to clone only after \"not implemented\".")
    .remedy("Update the node's container runtime (libseccomp 2.5, runc 1.0.0-rc95, Docker 20.10.10 or later), or in the seccomp profile:\n  {\"names\": [\"clone3\"], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 38}\nWith podman: --security-opt seccomp=k8s/seccomp/buildah.json");
const PROCESSES_CURE: &str = "On the node, in the kubelet's configuration, then restart it:\n  podPidsLimit: 4096\nWith podman: --pids-limit 4096 --ulimit nproc=4096:4096";
const TOO_FEW_PROCESSES: Finding = Finding::fails("too-few")
    .means("A build of one small step needs about thirty processes and threads at once. This container may not have so many: \"fork: Resource temporarily unavailable\".")
    .remedy(PROCESSES_CURE);
const FEW_PROCESSES: Finding = Finding::warns("few")
    .means("Small builds work. Parallel builds and test suites start more processes and threads than this limit allows: \"fork: Resource temporarily unavailable\".")
    .remedy(PROCESSES_CURE);
const MEMORY_CURE: &str = "In the pod spec, on this container:\n  resources:\n    limits: {memory: 2Gi}\nWith podman: --memory 2g";
const NO_MEMORY: Finding = Finding::fails("too-little")
    .means("Buildah alone needs more memory than this container may have. The kernel kills it in the middle of a build (\"signal: killed\", exit code 137).")
    .remedy(MEMORY_CURE);
const LITTLE_MEMORY: Finding = Finding::warns("little")
    .means("The kernel kills a build that reaches this limit (exit code 137). Large layers and compilers need more memory. Files in a memory volume count too.")
    .remedy(MEMORY_CURE);
const FEW_FILES: Finding = Finding::warns("few")
    .means("Large builds and test suites open more files at once than this limit allows: \"too many open files\".")
    .remedy("On the node, for containerd (systemctl edit containerd), then restart it:\n  [Service]\n  LimitNOFILE=1048576\nWith podman: --ulimit nofile=16384:16384");

/// Measured on two cores: a build of two steps failed with 24 processes and worked with 32. The rest is a margin.
const PROCESSES_NEEDED: u64 = 40;
const PROCESSES_WANTED: u64 = 256;
/// The number that a build of one step needs beside this process.
const TRIED: usize = 32;
/// Measured: Buildah was killed with 64 MiB and worked with 128.
const MEMORY_NEEDED: u64 = 100 * MIB;
const MEMORY_WANTED: u64 = 512 * MIB;
const FILES_WANTED: u64 = 1024;
const MIB: u64 = 1 << 20;

/// The observation if no child process could be started.
pub(in crate::doctor) fn no_child(error: &std::io::Error) -> Observation {
    let errno = to_nix(error);
    let case = if errno == Errno::EPERM {
        CLONE3
    } else {
        TOO_FEW_PROCESSES
    };
    Observation::problem(
        case,
        format!("no process could be started: {}", errno_text(errno)),
    )
}

fn processes(context: &Context) -> Observation {
    if let Err(error) = start_one() {
        return no_child(&error);
    }
    // A limit above the container's cgroup cannot be read, so this tries. Before a job there is no time for that.
    if context.watchdogs && is_too_many(TRIED) {
        let found = format!("{TRIED} more processes could not be started");
        return Observation::problem(TOO_FEW_PROCESSES, found);
    }
    let used = cgroup_number("pids", "pids.current", "pids.current").unwrap_or(0);
    let group = cgroup_number("pids", "pids.max", "pids.max").map(|limit| (limit, "pids.max"));
    // RLIMIT_NPROC does not apply to root.
    let own = getrlimit(Resource::RLIMIT_NPROC)
        .ok()
        .filter(|(soft, _)| *soft != u64::MAX && !getuid().is_root())
        .map(|(soft, _)| (soft, "RLIMIT_NPROC"));
    let Some((limit, name)) = group.into_iter().chain(own).min() else {
        return Observation::ok("no limit");
    };
    let found = format!("{name} is {limit}, {used} in use");
    match limit.saturating_sub(used) {
        left if limit < PROCESSES_NEEDED || left < PROCESSES_NEEDED / 2 => {
            Observation::problem(TOO_FEW_PROCESSES, found)
        }
        left if left < PROCESSES_WANTED => Observation::problem(FEW_PROCESSES, found),
        _ => Observation::ok(found),
    }
}

/// Starts a program by clone3(2), as a build does. `/` is a directory, so execve(2) fails, but in the new process.
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

fn memory(_: &Context) -> Observation {
    let limit = cgroup_number("memory", "memory.max", "memory.limit_in_bytes");
    // cgroup v1 has a number near 2^63 for no limit.
    let Some(bytes) = limit.filter(|bytes| *bytes < 1 << 60) else {
        return Observation::ok("no limit");
    };
    let found = format!("at most {} MiB", bytes / MIB);
    match bytes {
        0..MEMORY_NEEDED => Observation::problem(NO_MEMORY, found),
        MEMORY_NEEDED..MEMORY_WANTED => Observation::problem(LITTLE_MEMORY, found),
        _ => Observation::ok(found),
    }
}

fn open_files(_: &Context) -> Observation {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return Observation::skipped("getrlimit(2) failed");
    };
    let found = format!("RLIMIT_NOFILE is {soft}, at most {hard}");
    // Buildah and most runners raise the soft limit to the hard one themselves.
    if hard < FILES_WANTED {
        return Observation::problem(FEW_FILES, found);
    }
    Observation::ok(found)
}

/// Reads a number of this container's cgroup. Returns `None` if it has none or the file cannot be read.
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
