//! Mounts that a job left beneath a root: detached before anything is removed.
//!
//! Sources: mount_namespaces(7), umount(2), proc_pid_mountinfo(5).

use std::ffi::OsString;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount};

use super::open::{self, Opener};
use super::tally::{Tally, name_of, printable};

/// Mounts on mounts on mounts: so many times the list is read again.
const ROUNDS: usize = 64;

/// A mount as the kernel lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    id: u64,
    point: PathBuf,
}

/// Detaches what is mounted beneath the roots, other than roots. What resists is noted with its cause.
pub(super) fn detach(opener: Opener, roots: &[PathBuf], tally: &Tally) {
    for _ in 0..ROUNDS {
        let found = beneath(&list(), roots);
        let mut detached = false;
        for mount in &found {
            match detach_one(opener, mount) {
                Ok(()) => detached = true,
                // Gone with one above it.
                Err(Errno::STALE | Errno::NOENT) => {}
                Err(errno) => {
                    let cause = format!("{} (a mount that cannot be detached)", name_of(errno));
                    tally.note(printable(mount.point.as_os_str().as_bytes()), cause);
                }
            }
        }
        if !detached || tally.over() {
            return;
        }
    }
}

fn list() -> Vec<Mount> {
    std::fs::read("/proc/self/mountinfo").map_or_else(|_| Vec::new(), |text| parse(&text))
}

fn parse(mountinfo: &[u8]) -> Vec<Mount> {
    let lines = mountinfo.split(|&byte| byte == b'\n');
    lines
        .filter_map(|line| {
            let mut fields = line.split(|&byte| byte == b' ');
            let id = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
            let point = PathBuf::from(OsString::from_vec(unescape(fields.nth(3)?)));
            Some(Mount { id, point })
        })
        .collect()
}

/// The kernel writes blank, tab, newline and backslash as octal numbers.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| byte == b'\\');
        let number =
            octal.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        plain.push(number.unwrap_or(byte));
        rest = if number.is_some() { &after[3..] } else { after };
    }
    plain
}

/// Mounts in the roots, the outermost first. A root that is a mount itself is not one of them, nor what it needs.
fn beneath(mounts: &[Mount], roots: &[PathBuf]) -> Vec<Mount> {
    let inside = |point: &Path| {
        roots
            .iter()
            .any(|root| point.starts_with(root) && point != root)
    };
    let needed = |point: &Path| roots.iter().any(|root| root.starts_with(point));
    let mut found: Vec<Mount> = mounts
        .iter()
        .filter(|mount| inside(&mount.point) && !needed(&mount.point))
        .cloned()
        .collect();
    found.sort_by_key(|mount| mount.point.as_os_str().len());
    found
}

/// Detaches a mount, after making sure that the path still leads to it and that nothing follows outside.
fn detach_one(opener: Opener, mount: &Mount) -> Result<(), Errno> {
    let pinned = match open::pin_any(opener, &mount.point) {
        // A symlink in the path: what was mounted there is mounted elsewhere now.
        Err(Errno::LOOP | Errno::NOTDIR) => return Err(Errno::STALE),
        pinned => pinned?,
    };
    if open::mount_id(&pinned)? != mount.id {
        return Err(Errno::STALE);
    }
    let link = format!("/proc/self/fd/{}", pinned.as_raw_fd());
    // Bound recursively, the mounts beneath are peers of the host's own: detaching one would detach the other.
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change(&link, private)?;
    unmount(&link, UnmountFlags::DETACH)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTINFO: &[u8] = b"22 1 254:0 / / rw,relatime - ext4 /dev/root rw\n\
        40 22 0:30 / /ws rw shared:1 - tmpfs tmpfs rw\n\
        41 40 0:31 / /ws/a\\040b\\012c\\134 rw - tmpfs tmpfs rw\n\
        42 41 0:32 / /ws/a\\040b\\012c\\134/d rw - tmpfs tmpfs rw\n\
        43 40 0:33 / /ws/home rw - tmpfs tmpfs rw\n\
        44 22 0:34 / /wsx rw - tmpfs tmpfs rw\nnonsense\n\n";

    #[test]
    fn mountinfo_is_read_with_its_escapes() {
        let mounts = parse(MOUNTINFO);
        assert_eq!(mounts.len(), 6);
        assert_eq!(mounts[2].id, 41);
        assert_eq!(mounts[2].point, Path::new("/ws/a b\nc\\"));
        assert_eq!(unescape(b"\\9\\04"), b"\\9\\04");
    }

    #[test]
    fn only_mounts_beneath_a_root_are_detached_outermost_first() {
        let points = |roots: &[&str]| -> Vec<PathBuf> {
            let roots: Vec<PathBuf> = roots.iter().map(PathBuf::from).collect();
            let found = beneath(&parse(MOUNTINFO), &roots);
            found.into_iter().map(|mount| mount.point).collect()
        };
        assert_eq!(
            points(&["/ws"]),
            ["/ws/home", "/ws/a b\nc\\", "/ws/a b\nc\\/d"].map(PathBuf::from)
        );
        assert_eq!(
            points(&["/ws", "/ws/home/x", "/ws/a b\nc\\"]),
            [PathBuf::from("/ws/a b\nc\\/d")]
        );
        assert!(points(&["/w"]).is_empty());
    }
}
