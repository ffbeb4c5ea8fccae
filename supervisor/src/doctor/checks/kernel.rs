//! The node's kernel: its release, cgroups, clock and key quota.

use std::time::{Duration, SystemTime};

use nix::unistd::getuid;

use super::probes::sysctl;
use crate::doctor::check::{Check, Finding, Observation};
use crate::doctor::context::Context;
use crate::doctor::duty::Duty;
use linux::filesystem::{self, FsType};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "kernel.release",
        title: "The kernel is new enough",
        method: "Reads kernel.osrelease. A distribution may have patched the kernel; only the probes show that.",
        duty: Duty::Builds,
        run: release,
        findings: &[OLD],
        ..Check::DEFAULT
    },
    Check {
        id: "kernel.cgroups",
        title: "The version of cgroups is known",
        method: "Reads the type of the file system at /sys/fs/cgroup.",
        run: cgroups,
        findings: &[],
        ..Check::DEFAULT
    },
    Check {
        id: "kernel.clock",
        title: "The clock is right",
        method: "Compares the clock with earlier times: those of this program's file and the container's files, the issue of a mounted service account's token, and the year of this release.",
        run: clock,
        findings: &[CLOCK],
        ..Check::DEFAULT
    },
    Check {
        id: "kernel.keyring",
        title: "This user may make more kernel keys",
        method: "Reads this user's line of /proc/key-users.",
        duty: Duty::Builds,
        run: keyring,
        findings: &[QUOTA],
        ..Check::DEFAULT
    },
];

const OLD: Finding = Finding::warns("old")
    .means("Kernels before 5.11 mount no overlay in a user namespace. So builds use fuse-overlayfs, or copy every layer in full.")
    .remedy("Use nodes with Linux 5.11 or later (5.13 with SELinux). Give them a label, and select it in the pod spec:\n  nodeSelector: {kernel: new}");
const CLOCK: Finding = Finding::warns("behind")
    .means("The node's clock is far behind. Valid certificates and tokens then seem to be from the future, and are refused.")
    .remedy("On the node, as root:\n  timedatectl set-ntp true && timedatectl");
const QUOTA: Finding = Finding::warns("quota")
    .means("Under the isolations oci and rootless, each container of a build takes a key of this user. Few keys are left: \"unable to join session keyring: disk quota exceeded\". The isolation chroot, which this image uses, takes no key.")
    .remedy("On the node, as root:\n  echo kernel.keys.maxkeys=20000 >/etc/sysctl.d/90-keys.conf && sysctl --system");

fn release(_: &Context) -> Observation {
    let text = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let text = text.trim();
    match version(text) {
        Some(found) if found < (5, 11) => Observation::problem(OLD, format!("Linux {text}")),
        Some(_) => Observation::ok(format!("Linux {text}")).value(text),
        None => Observation::skipped("kernel.osrelease is not readable"),
    }
}

/// Parses the major and minor number of a kernel release.
pub(super) fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|letter: char| !letter.is_ascii_digit());
    let mut next = || numbers.next()?.parse().ok();
    Some((next()?, next()?))
}

fn cgroups(_: &Context) -> Observation {
    let root = std::path::Path::new("/sys/fs/cgroup");
    let kind = match filesystem::fs_type(root) {
        Ok(FsType::Other(0x6367_7270)) => "v2",
        Ok(_) if root.join("unified").is_dir() => "hybrid",
        Ok(FsType::Memory) => "v1",
        _ => return Observation::skipped("/sys/fs/cgroup is not mounted"),
    };
    let found = match kind {
        "hybrid" => {
            "hybrid: crun refuses these, runc accepts them; builds under chroot isolation make no cgroups"
        }
        kind => kind,
    };
    Observation::ok(found).value(kind)
}

/// 2026-01-01, before any release of this program.
const RELEASED: Duration = Duration::from_secs(1_767_225_600);
/// Files may come from a machine whose clock is a little ahead.
const SLACK: Duration = Duration::from_secs(3600);

fn clock(_: &Context) -> Observation {
    let now = SystemTime::now();
    let modified = |path: &str| std::fs::metadata(path).and_then(|found| found.modified());
    let files = ["/proc/self/exe", "/etc/hostname", "/etc/resolv.conf"];
    let newest = files.iter().filter_map(|path| modified(path).ok()).max();
    let newest = newest.unwrap_or(SystemTime::UNIX_EPOCH);
    let token = std::fs::read_to_string(super::kubernetes::SERVICE_ACCOUNT).unwrap_or_default();
    let issued = super::jwt::times(&token)
        .and_then(|times| times.begins?.try_into().ok())
        .map_or(Duration::ZERO, Duration::from_secs);
    let floor = newest.max(SystemTime::UNIX_EPOCH + RELEASED.max(issued));
    match floor.duration_since(now) {
        Ok(behind) if behind > SLACK => {
            let days = behind.as_secs() / 86400;
            let hours = behind.as_secs() / 3600 % 24;
            Observation::problem(
                CLOCK,
                format!("at least {days} days and {hours} hours behind"),
            )
        }
        _ => Observation::ok("not behind any earlier time"),
    }
}

fn keyring(_: &Context) -> Observation {
    let text = std::fs::read_to_string("/proc/key-users").unwrap_or_default();
    let Some((used, limit)) = quota(&text, getuid().as_raw()) else {
        let limit = sysctl("kernel.keys.maxkeys").map_or("unknown".to_owned(), |n| n.to_string());
        return Observation::ok(format!("0 of {limit} keys in use"));
    };
    let found = format!("{used} of {limit} keys in use");
    if used + 10 > limit {
        Observation::problem(QUOTA, found)
    } else {
        Observation::ok(found)
    }
}

/// Parses the keys in use and their limit. Format of a line, proc_key_users(5): `UID: USAGE NKEYS/NIKEYS QNKEYS/MAXKEYS QNBYTES/MAXBYTES`.
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
    fn release_is_compared_as_numbers() {
        assert_eq!(version("5.4.0-150-generic"), Some((5, 4)));
        assert!(version("5.10.0").unwrap() < (5, 11));
        assert!(version("6.1").unwrap() > (5, 11));
        assert_eq!(version("unknown"), None);
    }

    #[test]
    fn quota_is_read_from_the_line_of_this_user() {
        let text =
            "    0:   100 99/99 20/1000000 300/25000000\n 1000:     3 3/3 199/200 30/20000\n";
        assert_eq!(quota(text, 1000), Some((199, 200)));
        assert_eq!(quota(text, 100), None);
    }
}
