//! What the runtime lets this container have at most: open files, processes, memory.

use nix::sys::resource::{Resource, getrlimit};

use crate::doctor::check::{Case, Check, Duty, Finding, Status};
use crate::doctor::scene::Scene;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "kernel.open-files",
        title: "Enough files can be open",
        how: "Reads RLIMIT_NOFILE, getrlimit(2).",
        look: open_files,
        cases: &[FEW_FILES, FILES],
        ..Check::NEW
    },
    Check {
        id: "kernel.processes",
        title: "Enough processes can run",
        how: "Reads RLIMIT_NPROC, and pids.max of this container's cgroup.",
        look: processes,
        cases: &[FEW_PROCESSES, PROCESSES],
        ..Check::NEW
    },
    Check {
        id: "kernel.memory",
        title: "There is enough memory",
        how: "Reads memory.max of this container's cgroup (memory.limit_in_bytes under cgroup v1).",
        duty: Duty::Builds,
        look: memory,
        cases: &[LITTLE_MEMORY],
        ..Check::NEW
    },
];

const FILES_CURE: &str = "On the node, for containerd (systemctl edit containerd), then restart it:\n  [Service]\n  LimitNOFILE=1048576\nWith podman: --ulimit nofile=65536:65536";
const FEW_FILES: Case = Case {
    name: "too-few",
    status: Status::Fail,
    means: "A build holds the files of every layer open that it unpacks, and fails with \"too many open files\" under this limit.",
    cure: FILES_CURE,
};
const FILES: Case = Case {
    name: "few",
    status: Status::Warn,
    means: "Large builds and test suites hold more files open than this limit allows: \"too many open files\".",
    cure: FILES_CURE,
};
const PROCESSES_CURE: &str = "On the node, in the kubelet's configuration, then restart it:\n  podPidsLimit: 4096\nWith podman: --pids-limit 4096 --ulimit nproc=4096:4096";
const FEW_PROCESSES: Case = Case {
    name: "too-few",
    status: Status::Fail,
    means: "A runner, a build and their threads need some dozens of processes: \"fork: Resource temporarily unavailable\".",
    cure: PROCESSES_CURE,
};
const PROCESSES: Case = Case {
    name: "few",
    status: Status::Warn,
    means: "Parallel builds and test suites start more processes and threads than this limit allows: \"fork: Resource temporarily unavailable\".",
    cure: PROCESSES_CURE,
};
const LITTLE_MEMORY: Case = Case {
    name: "little",
    status: Status::Warn,
    means: "A build that packs large layers, or whose steps compile something, is killed by the kernel when this limit is reached (exit code 137). What a memory volume holds counts too.",
    cure: "In the pod spec, on this container:\n  resources:\n    limits: {memory: 2Gi}\nWith podman: --memory 2g",
};

fn open_files(_: &Scene) -> Finding {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return Finding::skipped("getrlimit(2) does not tell");
    };
    let found = format!("RLIMIT_NOFILE is {soft}, at most {hard}");
    // Buildah and most runners raise the soft limit to the hard one themselves.
    match hard {
        0..256 => Finding::case(FEW_FILES, found),
        256..1024 => Finding::case(FILES, found),
        _ => Finding::ok(found),
    }
}

fn processes(_: &Scene) -> Finding {
    let user = getrlimit(Resource::RLIMIT_NPROC).map_or(u64::MAX, |(_, hard)| hard);
    let group = cgroup_limit("pids", "pids.max", "pids.max").unwrap_or(u64::MAX);
    let (limit, name) = if group < user {
        (group, "pids.max")
    } else {
        (user, "RLIMIT_NPROC")
    };
    let found = format!("{name} is {limit}");
    match limit {
        0..64 => Finding::case(FEW_PROCESSES, found),
        64..512 => Finding::case(PROCESSES, found),
        u64::MAX => Finding::ok("without a limit"),
        _ => Finding::ok(found),
    }
}

const MIB: u64 = 1 << 20;

fn memory(_: &Scene) -> Finding {
    let limit = cgroup_limit("memory", "memory.max", "memory.limit_in_bytes");
    match limit {
        // cgroup v1 has a number near 2^63 for no limit.
        Some(bytes) if bytes < 1 << 60 => {
            let found = format!("at most {} MiB", bytes / MIB);
            if bytes < 512 * MIB {
                Finding::case(LITTLE_MEMORY, found)
            } else {
                Finding::ok(found)
            }
        }
        _ => Finding::ok("without a limit"),
    }
}

/// A limit of this container's cgroup; `None` where there is none, or it cannot be seen.
fn cgroup_limit(controller: &str, unified: &str, legacy: &str) -> Option<u64> {
    let paths = [
        format!("/sys/fs/cgroup/{unified}"),
        format!("/sys/fs/cgroup/{controller}/{legacy}"),
    ];
    let text = paths
        .iter()
        .find_map(|path| std::fs::read_to_string(path).ok())?;
    text.trim().parse().ok()
}
