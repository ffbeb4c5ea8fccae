//! The node's kernel: what it knows, how it groups processes, and whether its clock can be believed.

use std::time::{Duration, SystemTime};

use nix::unistd::getuid;

use super::trials::sysctl;
use crate::doctor::check::{Case, Check, Duty, Finding, Status};
use crate::doctor::scene::Scene;
use linux::filesystem::{self, FsType};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "kernel.release",
        title: "The kernel is new enough",
        how: "Reads kernel.osrelease. Whether the node's kernel was patched, only the trials tell.",
        duty: Duty::Builds,
        look: release,
        cases: &[OLD],
        ..Check::NEW
    },
    Check {
        id: "kernel.cgroups",
        title: "The kind of cgroups is known",
        how: "Reads the type of the file system at /sys/fs/cgroup.",
        look: cgroups,
        cases: &[],
        ..Check::NEW
    },
    Check {
        id: "kernel.clock",
        title: "The clock is right",
        how: "Compares it with the times at which this program's file and the container's own were made and a mounted service account's token was issued, and with the year of this release.",
        look: clock,
        cases: &[CLOCK],
        ..Check::NEW
    },
    Check {
        id: "kernel.keyring",
        title: "This user may make more kernel keys",
        how: "Reads this user's line of /proc/key-users.",
        duty: Duty::Builds,
        look: keyring,
        cases: &[QUOTA],
        ..Check::NEW
    },
];

const OLD: Case = Case {
    name: "old",
    status: Status::Warn,
    means: "Kernels before 5.11 mount no overlay in a user namespace, so builds take fuse-overlayfs or copy every layer in full.",
    cure: "Nodes with Linux 5.11 or later (5.13 with SELinux), chosen in the pod spec by a label that you give them:\n  nodeSelector: {kernel: new}",
};
const CLOCK: Case = Case {
    name: "behind",
    status: Status::Warn,
    means: "The node's clock is far behind. Certificates then look as if they were not valid yet, and tokens as if they came from the future.",
    cure: "On the node, as root:\n  timedatectl set-ntp true && timedatectl",
};
const QUOTA: Case = Case {
    name: "quota",
    status: Status::Warn,
    means: "Containers that a build starts under the isolations oci and rootless each take a key of this user, and hardly any are left: \"unable to join session keyring: disk quota exceeded\". The isolation chroot, which this image uses, takes none.",
    cure: "On the node, as root:\n  echo kernel.keys.maxkeys=20000 >/etc/sysctl.d/90-keys.conf && sysctl --system",
};

fn release(_: &Scene) -> Finding {
    let text = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let text = text.trim();
    match version(text) {
        Some(found) if found < (5, 11) => Finding::case(OLD, format!("Linux {text}")),
        Some(_) => Finding::ok(format!("Linux {text}")).value(text),
        None => Finding::skipped("the kernel does not tell its release"),
    }
}

/// Major and minor number of a release.
pub(super) fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|letter: char| !letter.is_ascii_digit());
    let mut next = || numbers.next()?.parse().ok();
    Some((next()?, next()?))
}

fn cgroups(_: &Scene) -> Finding {
    let root = std::path::Path::new("/sys/fs/cgroup");
    let kind = match filesystem::fs_type(root) {
        Ok(FsType::CGROUP2) => "v2",
        Ok(_) if root.join("unified").is_dir() => "hybrid",
        Ok(FsType::Memory) => "v1",
        _ => return Finding::skipped("/sys/fs/cgroup is not mounted"),
    };
    let found = match kind {
        "hybrid" => {
            "hybrid: crun refuses these, runc takes them; builds under chroot isolation make none"
        }
        kind => kind,
    };
    Finding::ok(found).value(kind)
}

/// 2026-01-01, before any release of this program.
const RELEASED: Duration = Duration::from_secs(1_767_225_600);
/// Files may come from a machine that is a little ahead.
const SLACK: Duration = Duration::from_secs(3600);

fn clock(_: &Scene) -> Finding {
    let now = SystemTime::now();
    let modified = |path: &str| std::fs::metadata(path).and_then(|found| found.modified());
    let files = ["/proc/self/exe", "/etc/hostname", "/etc/resolv.conf"];
    let newest = files.iter().filter_map(|path| modified(path).ok()).max();
    let newest = newest.unwrap_or(SystemTime::UNIX_EPOCH);
    let token = std::fs::read_to_string(super::kubernetes::SERVICE_ACCOUNT).unwrap_or_default();
    let issued = super::tokens::times(&token).and_then(|times| times.begins);
    let issued = Duration::from_secs(
        issued
            .and_then(|seconds| seconds.try_into().ok())
            .unwrap_or(0),
    );
    let floor = newest.max(SystemTime::UNIX_EPOCH + RELEASED.max(issued));
    match floor.duration_since(now) {
        Ok(behind) if behind > SLACK => {
            let days = behind.as_secs() / 86400;
            let hours = behind.as_secs() / 3600 % 24;
            Finding::case(
                CLOCK,
                format!("at least {days} days and {hours} hours behind"),
            )
        }
        _ => Finding::ok("not behind what it was already"),
    }
}

fn keyring(_: &Scene) -> Finding {
    let text = std::fs::read_to_string("/proc/key-users").unwrap_or_default();
    let Some((used, limit)) = quota(&text, getuid().as_raw()) else {
        let limit = sysctl("kernel.keys.maxkeys").map_or("unknown".to_owned(), |n| n.to_string());
        return Finding::ok(format!("none in use, at most {limit}"));
    };
    let found = format!("{used} of {limit} keys in use");
    if used + 10 > limit {
        Finding::case(QUOTA, found)
    } else {
        Finding::ok(found)
    }
}

/// Keys in use and their limit: proc_key_users(5), `UID: USAGE NKEYS/NIKEYS QNKEYS/MAXKEYS QNBYTES/MAXBYTES`.
fn quota(text: &str, uid: u32) -> Option<(u64, u64)> {
    let own = format!("{uid}:");
    let line = text
        .lines()
        .find(|line| line.split_whitespace().next() == Some(own.as_str()))?;
    let (used, limit) = line.split_whitespace().nth(3)?.split_once('/')?;
    Some((used.parse().ok()?, limit.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_as_numbers() {
        assert_eq!(version("5.4.0-150-generic"), Some((5, 4)));
        assert!(version("5.10.0").unwrap() < (5, 11));
        assert!(version("6.1").unwrap() > (5, 11));
        assert_eq!(version("unknown"), None);
    }

    #[test]
    fn the_quota_is_that_of_this_user() {
        let text =
            "    0:   100 99/99 20/1000000 300/25000000\n 1000:     3 3/3 199/200 30/20000\n";
        assert_eq!(quota(text, 1000), Some((199, 200)));
        assert_eq!(quota(text, 100), None);
    }
}
