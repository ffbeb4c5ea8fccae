//! Mounts that a job left beneath a root: detached before anything is removed.
//!
//! Sources: mount_namespaces(7), umount(2), proc_pid_mountinfo(5).

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount};

use super::open::{self, Opener};
use super::path;
use super::tally::{Tally, name_of};

/// Mounts on mounts on mounts: the list is read again at most as often as a namespace has mounts, fs.mount-max.
const ROUNDS: usize = 100_000;
/// Every mount of our namespace.
const TABLE: &str = "/proc/self/mountinfo";
/// What to do about a volume of the pod's own in the middle of what is wiped.
const VOLUME: &str = "EXDEV (mounted before the job began, so not the job's: mount it outside, or name it in workspace.also_wipe)";

/// The mounts that were there before the job, and a watch over them.
#[derive(Debug, Default)]
pub struct Mounts {
    /// By id.
    mounts: Vec<Mount>,
    table: Option<File>,
    changed: AtomicBool,
}

/// The mounts that there are now.
#[must_use]
pub fn mounted() -> Mounts {
    // What is mounted while the list is read counts as a change.
    let table = File::open(TABLE).ok();
    let mut mounts = table.as_ref().map(read).unwrap_or_default();
    mounts.sort_by_key(|mount| mount.id);
    Mounts {
        mounts,
        table,
        changed: AtomicBool::new(false),
    }
}

impl Mounts {
    fn had(&self, id: u64) -> bool {
        self.mounts
            .binary_search_by_key(&id, |mount| mount.id)
            .is_ok()
    }

    /// Whether nothing was mounted, moved or detached since: poll(2) tells it once, proc_pid_mounts(5), and
    /// sooner than a list is read.
    fn unchanged(&self) -> bool {
        let quiet = self.table.as_ref().is_some_and(|table| {
            let mut fds = [PollFd::new(table.as_fd(), PollFlags::POLLPRI)];
            poll(&mut fds, PollTimeout::ZERO) == Ok(0)
        });
        !self.changed.fetch_or(!quiet, Relaxed) && quiet
    }
}

/// A mount as the kernel lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    id: u64,
    point: PathBuf,
}

/// Detaches what is mounted beneath the roots, other than roots; knowing what was there before the job,
/// what it mounted on the roots and above them too. What resists is noted with its cause.
pub(super) fn detach(opener: Opener, roots: &[PathBuf], before: Option<&Mounts>, tally: &Tally) {
    if let Some(before) = before.filter(|before| before.unchanged()) {
        note_volumes(&before.mounts, roots, before, tally);
        return;
    }
    for round in 0..ROUNDS {
        let mounts = list();
        if let (0, Some(before)) = (round, before) {
            note_volumes(&mounts, roots, before, tally);
        }
        let mut detached = false;
        for mount in &foreign(mounts, roots, before) {
            match detach_one(opener, mount) {
                Ok(()) => detached = true,
                // Gone with one above it.
                Err(Errno::STALE | Errno::NOENT) => {}
                Err(errno) => {
                    let cause = format!("{} (a mount that cannot be detached)", name_of(errno));
                    tally.note(mount.point.as_os_str().as_bytes(), cause);
                }
            }
        }
        if !detached || tally.over() {
            return;
        }
    }
}

fn note_volumes(mounts: &[Mount], roots: &[PathBuf], before: &Mounts, tally: &Tally) {
    let own = mounts.iter().filter(|mount| before.had(mount.id));
    for mount in own.filter(|mount| is_inside(mount, roots)) {
        tally.note(mount.point.as_os_str().as_bytes(), VOLUME.to_owned());
    }
}

fn list() -> Vec<Mount> {
    File::open(TABLE).map_or_else(|_| Vec::new(), |table| read(&table))
}

fn read(mut table: &File) -> Vec<Mount> {
    // The kernel gives a page at a time, and would be asked for less.
    let mut text = Vec::with_capacity(1 << 14);
    if table.read_to_end(&mut text).is_err() {
        return Vec::new();
    }
    parse(&text)
}

pub(super) fn parse(mountinfo: &[u8]) -> Vec<Mount> {
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
pub(super) fn unescape(text: &[u8]) -> Vec<u8> {
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

fn is_inside(mount: &Mount, roots: &[PathBuf]) -> bool {
    let point = &mount.point;
    roots
        .iter()
        .any(|root| path::lies_in(point, root) && point != root)
}

/// Whether a root is this mount, or lies in it.
fn is_needed(mount: &Mount, roots: &[PathBuf]) -> bool {
    roots.iter().any(|root| path::lies_in(root, &mount.point))
}

/// Mounts that are to be detached, the outermost first.
fn foreign(mounts: Vec<Mount>, roots: &[PathBuf], before: Option<&Mounts>) -> Vec<Mount> {
    let is_foreign = |mount: &Mount| match before {
        Some(before) => {
            !before.had(mount.id) && (is_inside(mount, roots) || is_needed(mount, roots))
        }
        None => is_inside(mount, roots) && !is_needed(mount, roots),
    };
    let mut found: Vec<Mount> = mounts.into_iter().filter(is_foreign).collect();
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
    use std::path::Path;

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

    fn points(roots: &[&str], before: Option<&[u64]>) -> Vec<PathBuf> {
        let roots: Vec<PathBuf> = roots.iter().map(PathBuf::from).collect();
        let before = before.map(|ids| Mounts {
            mounts: (parse(MOUNTINFO).into_iter())
                .filter(|mount| ids.contains(&mount.id))
                .collect(),
            ..Mounts::default()
        });
        let found = foreign(parse(MOUNTINFO), &roots, before.as_ref());
        found.into_iter().map(|mount| mount.point).collect()
    }

    #[test]
    fn only_mounts_beneath_a_root_are_detached_outermost_first() {
        assert_eq!(
            points(&["/ws"], None),
            ["/ws/home", "/ws/a b\nc\\", "/ws/a b\nc\\/d"].map(PathBuf::from)
        );
        assert_eq!(
            points(&["/ws", "/ws/home/x", "/ws/a b\nc\\"], None),
            [PathBuf::from("/ws/a b\nc\\/d")]
        );
        assert!(points(&["/w"], None).is_empty());
    }

    #[test]
    fn what_was_there_before_the_job_stays_and_what_it_put_on_a_root_goes() {
        let roots = ["/ws", "/ws/home/x"];
        assert_eq!(
            points(&roots, Some(&[22, 40, 41, 42])),
            [PathBuf::from("/ws/home")]
        );
        assert_eq!(
            points(&roots, Some(&[22, 43])),
            ["/ws", "/ws/a b\nc\\", "/ws/a b\nc\\/d"].map(PathBuf::from)
        );
    }
}
