//! What the node's kernel and the container's limits leave to a build: processes, memory, files, keys, time.

use std::path::Path;
use std::time::{Duration, SystemTime};

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::getuid;

use super::trials::told;
use crate::doctor::check::{Case, Check, Duty, Finding, Status};
use crate::doctor::scene::Scene;

/// The check that all others need: each runs in a process of its own.
pub(in crate::doctor) const PROCESSES: &str = "kernel.processes";

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: PROCESSES,
        title: "Enough processes can be started",
        how: "Starts one, and reads the cgroup's pids limit and RLIMIT_NPROC.",
        preflight: true,
        look: processes,
        cases: &[CLONE3, EXHAUSTED, FEW_PROCESSES],
        ..Check::NEW
    },
    Check {
        id: "kernel.memory",
        title: "There is memory for a build",
        how: "Reads the memory limit of the container's cgroup.",
        duty: Duty::Builds,
        look: memory,
        cases: &[NO_MEMORY, LITTLE_MEMORY],
        ..Check::NEW
    },
    Check {
        id: "kernel.files",
        title: "Enough files can be open at once",
        how: "Reads RLIMIT_NOFILE.",
        look: files,
        cases: &[FEW_FILES],
        ..Check::NEW
    },
    Check {
        id: "kernel.cgroups",
        title: "The cgroup version is known",
        how: "Reads /proc/self/cgroup: one hierarchy is v2, several are v1, both together are hybrid.",
        look: cgroups,
        ..Check::NEW
    },
    Check {
        id: "kernel.keyring",
        title: "This user's kernel keyring has room",
        how: "Reads this user's quota in /proc/key-users.",
        duty: Duty::Builds,
        look: keyring,
        cases: &[KEYRING],
        ..Check::NEW
    },
    Check {
        id: "kernel.clock",
        title: "The clock is plausible",
        how: "Compares the time with this release's date and with the time at which a mounted service-account token was issued.",
        look: clock,
        cases: &[BEHIND],
        ..Check::NEW
    },
];

const CLONE3: Case = Case {
    name: "clone3",
    status: Status::Fail,
    means: "No program can start another one: the container's seccomp filter answers clone3 with \"not permitted\", where the C library only falls back to clone on \"not implemented\".",
    cure: "Update the container runtime (libseccomp 2.5, runc 1.0.0-rc95, Docker 20.10.10 or later), or in the seccomp profile:\n  {\"names\": [\"clone3\"], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 38}",
};
const EXHAUSTED: Case = Case {
    name: "exhausted",
    status: Status::Fail,
    means: "A build with one small step needs some thirty processes and threads at once, and this container may not have so many.",
    cure: "On the node, in the kubelet's configuration:\n  podPidsLimit: 4096\nWith podman: --pids-limit 4096 --ulimit nproc=4096:4096",
};
const FEW_PROCESSES: Case = Case {
    name: "few",
    status: Status::Warn,
    means: "Small builds work. A compiler on several cores, or several builds side by side, may find that no further process can be started.",
    cure: EXHAUSTED.cure,
};
const NO_MEMORY: Case = Case {
    name: "too-little",
    status: Status::Fail,
    means: "Buildah alone needs more memory than this container may have: the kernel kills it in the middle of a build, which then says \"signal: killed\".",
    cure: "In the pod spec, on this container:\n  resources:\n    limits: {memory: 2Gi}\nWith podman: --memory 2g",
};
const LITTLE_MEMORY: Case = Case {
    name: "little",
    status: Status::Warn,
    means: "Buildah itself fits in, but most compilers and package managers do not: the kernel kills them, and a step says \"Killed\" or ends with code 137.",
    cure: NO_MEMORY.cure,
};
const FEW_FILES: Case = Case {
    name: "few",
    status: Status::Warn,
    means: "Package managers, linkers and databases in tests open many files at once, and say \"too many open files\" at this limit.",
    cure: "With podman: --ulimit nofile=16384:16384\nIn a pod the limit is the container runtime's own. On the node, as root:\n  mkdir -p /etc/systemd/system/containerd.service.d && printf '[Service]\\nLimitNOFILE=1048576\\n' >/etc/systemd/system/containerd.service.d/files.conf && systemctl daemon-reload && systemctl restart containerd",
};
const KEYRING: Case = Case {
    name: "full",
    status: Status::Warn,
    means: "Each container takes a key from its user's quota. Builds with chroot isolation, which this image uses, need none; with isolation oci they fail: \"unable to join session keyring: disk quota exceeded\".",
    cure: "On the node, as root:\n  sysctl -w kernel.keys.maxkeys=20000 kernel.keys.maxbytes=2000000",
};
const BEHIND: Case = Case {
    name: "behind",
    status: Status::Warn,
    means: "With such a time every certificate seems to lie in the future: registries and the CI service are refused with \"certificate is not yet valid\".",
    cure: "On the node, as root:\n  timedatectl set-ntp true",
};

/// Measured on two cores: a build of two steps failed with 24 and worked with 32.
const PROCESSES_NEEDED: u64 = 32;
const PROCESSES_WANTED: u64 = 256;
/// Measured: Buildah was killed with 64 MiB and worked with 128 MiB.
const MEMORY_NEEDED: u64 = 100 << 20;
const MEMORY_WANTED: u64 = 512 << 20;
const FILES_WANTED: u64 = 1024;

/// What it means that no child could be started.
pub(in crate::doctor) fn no_child(error: &std::io::Error) -> Finding {
    let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
    let case = if errno == Errno::EPERM {
        CLONE3
    } else {
        EXHAUSTED
    };
    Finding::case(
        case,
        format!("no process could be started: {}", told(errno)),
    )
}

fn processes(_: &Scene) -> Finding {
    let used = cgroup_number("pids", "pids.current").unwrap_or(0);
    let limit = cgroup_number("pids", "pids.max").map(|limit| (limit, "the cgroup's pids limit"));
    // Root is not bound by its own.
    let own = getrlimit(Resource::RLIMIT_NPROC).ok().map(|(soft, _)| soft);
    let own = own.filter(|soft| *soft != u64::MAX && !getuid().is_root());
    let own = own.map(|soft| (soft, "RLIMIT_NPROC"));
    let Some((limit, whose)) = limit.into_iter().chain(own).min() else {
        return Finding::ok("no limit");
    };
    let found = format!("{limit} ({whose}), {used} in use");
    let case = match limit.saturating_sub(used) {
        left if limit < PROCESSES_NEEDED || left < PROCESSES_NEEDED / 2 => EXHAUSTED,
        left if left < PROCESSES_WANTED => FEW_PROCESSES,
        _ => return Finding::ok(found),
    };
    Finding::case(case, found)
}

fn memory(_: &Scene) -> Finding {
    let limit = cgroup_number("memory", "memory.max")
        .or_else(|| cgroup_number("memory", "memory.limit_in_bytes"));
    let Some(limit) = limit.filter(|limit| *limit < 1 << 60) else {
        return Finding::ok("no limit");
    };
    let found = format!("the cgroup's limit is {} MiB", limit >> 20);
    match limit {
        limit if limit < MEMORY_NEEDED => Finding::case(NO_MEMORY, found),
        limit if limit < MEMORY_WANTED => Finding::case(LITTLE_MEMORY, found),
        _ => Finding::ok(found),
    }
}

/// A number of the container's own cgroup: mounted at the top of either version's hierarchy.
fn cgroup_number(controller: &str, file: &str) -> Option<u64> {
    let top = Path::new("/sys/fs/cgroup");
    [top.join(file), top.join(controller).join(file)]
        .into_iter()
        .find_map(|path| std::fs::read_to_string(path).ok()?.trim().parse().ok())
}

fn files(_: &Scene) -> Finding {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return Finding::skipped("RLIMIT_NOFILE cannot be read");
    };
    let found = format!("{soft}, at most {hard}");
    if hard < FILES_WANTED {
        return Finding::case(FEW_FILES, found);
    }
    Finding::ok(found)
}

fn cgroups(_: &Scene) -> Finding {
    let text = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let version = version(&text);
    let found = match version {
        "v2" => "v2",
        "v1" => "v1: crun refuses it, runc takes it; chroot isolation needs no cgroups",
        "hybrid" => "hybrid: crun refuses it, runc takes it; chroot isolation needs no cgroups",
        _ => "none",
    };
    Finding::ok(found).value(version)
}

/// cgroups(7), "/proc/pid/cgroup".
fn version(text: &str) -> &'static str {
    let two = text.lines().any(|line| line.starts_with("0::"));
    let one = text.lines().any(|line| !line.starts_with("0::"));
    match (two, one) {
        (true, false) => "v2",
        (true, true) => "hybrid",
        (false, true) => "v1",
        (false, false) => "none",
    }
}

fn keyring(_: &Scene) -> Finding {
    let text = std::fs::read_to_string("/proc/key-users").unwrap_or_default();
    let Some((keys, bytes)) = quota(&text, getuid().as_raw()) else {
        return Finding::ok("no key in use");
    };
    let found = format!("{}/{} keys, {}/{} bytes", keys.0, keys.1, bytes.0, bytes.1);
    if keys.0 >= keys.1 || bytes.0 >= bytes.1 {
        return Finding::case(KEYRING, found);
    }
    Finding::ok(found)
}

/// Used and allowed keys and bytes of a user, keyrings(7).
fn quota(text: &str, uid: u32) -> Option<((u64, u64), (u64, u64))> {
    let line = text.lines().find_map(|line| {
        let (owner, rest) = line.split_once(':')?;
        (owner.trim().parse() == Ok(uid)).then_some(rest)
    })?;
    let pair = |text: &str| {
        let (used, allowed) = text.split_once('/')?;
        Some((used.parse().ok()?, allowed.parse().ok()?))
    };
    let mut fields = line.split_whitespace().skip(2);
    Some((pair(fields.next()?)?, pair(fields.next()?)?))
}

/// Nobody runs this before it was written: 2026-01-01.
const RELEASED: u64 = 1_767_225_600;
const TOLERANCE: Duration = Duration::from_secs(300);

fn clock(_: &Scene) -> Finding {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs();
    if now < RELEASED {
        return Finding::case(
            BEHIND,
            format!("{now} seconds since 1970: before this release was made"),
        );
    }
    let token = std::fs::read_to_string(super::kubernetes::TOKEN).unwrap_or_default();
    let issued = super::jwt::times(&token).and_then(|times| times.issued);
    match issued.map(|issued| issued.saturating_sub(now)) {
        Some(ahead) if ahead > TOLERANCE.as_secs() => Finding::case(
            BEHIND,
            format!("the service-account token was issued {ahead} seconds from now"),
        ),
        Some(_) => Finding::ok("not behind the service-account token's issuer"),
        None => Finding::ok("later than this release"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cgroup_versions_are_told_apart() {
        assert_eq!(version("0::/user.slice\n"), "v2");
        assert_eq!(version("1:cpu:/\n0::/\n"), "hybrid");
        assert_eq!(version("2:cpu:/\n1:name=systemd:/\n"), "v1");
    }

    #[test]
    fn a_users_key_quota_is_read() {
        let text = "    0:     9 8/8 3/1000000 48/25000000\n 1001:     2 2/2 200/200 28/20000\n";
        assert_eq!(quota(text, 1001), Some(((200, 200), (28, 20000))));
        assert_eq!(quota(text, 1000), None);
    }
}
