//! MountSnapshot that a job left beneath a root: detached before anything is removed.
//!
//! Sources: mount_namespaces(7), umount(2), proc_pid_mountinfo(5).

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::fchdir;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount};

use super::failures::Explanation;
use super::openat::{self, Opener};
use super::path;
use super::pinned_root::PinnedRoot;
use super::progress::Progress;
use linux::errno::name_of;

/// MountSnapshot on mounts on mounts: the list is read again at most as often as a namespace has mounts, fs.mount-max.
const MAX_ROUNDS: usize = 100_000;
/// Every mount of our namespace.
const MOUNTINFO_PATH: &str = "/proc/self/mountinfo";
/// What to do about a volume of the pod's own in the middle of what is wiped.
const POD_VOLUME: &str = "EXDEV (mounted before the job began, so not the job's: mount it outside, or name it in workspace.also_wipe)";

/// Where descriptors can be reached by a path: what a job mounted there goes too.
const PROC: &str = "/proc";

/// The mounts that were there before the job, a watch over them, and the directories to be wiped.
#[derive(Debug, Default)]
pub struct MountSnapshot {
    /// By id.
    mounts: Vec<Mount>,
    /// The list, open since then: a job may put another in the place of /proc.
    table: Option<File>,
    changed: AtomicBool,
    pinned: Vec<PinnedRoot>,
}

/// The mounts that there are now; those of the directories `paths` that lie in no other, or are mount points, are
/// held open.
#[must_use]
pub fn snapshot_mounts(paths: &[PathBuf]) -> MountSnapshot {
    // What is mounted while the list is read counts as a change.
    let table = File::open(MOUNTINFO_PATH).ok();
    let mut mounts = table.as_ref().map(read).unwrap_or_default();
    mounts.sort_by_key(|mount| mount.id);
    MountSnapshot {
        pinned: pin_roots(&path::normalize_all(paths), &mounts),
        mounts,
        table,
        changed: AtomicBool::new(false),
    }
}

fn pin_roots(paths: &[PathBuf], mounts: &[Mount]) -> Vec<PinnedRoot> {
    // Both are clean: bytes tell, many times sooner than names.
    let is_mount_point = |path: &Path| {
        let path = path.as_os_str();
        mounts.iter().any(|mount| mount.point.as_os_str() == path)
    };
    let outermost: Vec<&PathBuf> = path::outermost(paths).collect();
    let held = paths.iter().filter_map(|path| {
        let mounted = is_mount_point(path);
        let wanted = mounted || outermost.contains(&path);
        // What is not there is not hidden either.
        wanted.then(|| PinnedRoot::pin(Opener::find(), path, mounted).ok())?
    });
    held.collect()
}

impl MountSnapshot {
    fn had(&self, id: u64) -> bool {
        self.mounts
            .binary_search_by_key(&id, |mount| mount.id)
            .is_ok()
    }

    /// The mounts that there are now, by the list that was open before the job.
    fn now(&self) -> Vec<Mount> {
        let again = |mut table: &File| table.rewind().map(|()| read(table));
        self.table
            .as_ref()
            .and_then(|table| again(table).ok())
            .unwrap_or_default()
    }

    /// The directories to which their paths do not lead any more, and that may be wiped.
    pub(super) fn path_changed(&self, opener: Opener) -> Vec<&PinnedRoot> {
        let path_changed = self
            .pinned
            .iter()
            .filter(|pinned| pinned.path_changed(opener));
        path_changed
            .filter(|pinned| pinned.may_be_wiped())
            .collect()
    }

    /// Gives the directories the modes that they had.
    pub(super) fn restore_modes(&self) {
        self.pinned.iter().for_each(PinnedRoot::restore_mode);
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
    pub(super) id: u64,
    /// The numbers of its file system.
    pub(super) device: String,
    /// What of the file system is shown.
    pub(super) root: PathBuf,
    /// Where.
    pub(super) point: PathBuf,
}

/// Detaches what is mounted beneath the roots, other than roots; knowing what was there before the job,
/// what it mounted on the roots and above them too. What resists is noted with its cause.
pub(super) fn detach(
    opener: Opener,
    roots: &[PathBuf],
    before: Option<&MountSnapshot>,
    progress: &Progress,
) {
    detach_of(None, opener, roots, before, progress);
}

/// The same where the list was just read.
pub(super) fn detach_listed(listed: Option<Vec<Mount>>, roots: &[PathBuf], progress: &Progress) {
    detach_of(listed, Opener::find(), roots, None, progress);
}

fn detach_of(
    mut listed: Option<Vec<Mount>>,
    opener: Opener,
    roots: &[PathBuf],
    before: Option<&MountSnapshot>,
    progress: &Progress,
) {
    if let Some(before) = before.filter(|before| before.unchanged()) {
        explain_pod_volumes(&before.mounts, roots, before, progress);
        return;
    }
    for round in 0..MAX_ROUNDS {
        let now = || before.map_or_else(list, MountSnapshot::now);
        let mounts = listed.take().unwrap_or_else(now);
        if let (0, Some(before)) = (round, before) {
            explain_pod_volumes(&mounts, roots, before, progress);
        }
        let mut detached = false;
        for mount in &foreign(mounts, roots, before) {
            match detach_one(opener, mount) {
                Ok(()) => detached = true,
                // Gone with one above it.
                Err(Errno::STALE | Errno::NOENT) => {}
                Err(errno) => {
                    let explanation = Explanation {
                        text: format!("{} (a mount that cannot be detached)", name_of(errno)),
                        excused: false,
                    };
                    progress.explain(mount.point.as_os_str().as_bytes(), explanation);
                }
            }
        }
        if !detached || progress.is_over() {
            return;
        }
    }
}

fn explain_pod_volumes(
    mounts: &[Mount],
    roots: &[PathBuf],
    before: &MountSnapshot,
    progress: &Progress,
) {
    let own = mounts.iter().filter(|mount| before.had(mount.id));
    for mount in own.filter(|mount| is_inside(mount, roots)) {
        let explanation = Explanation {
            text: POD_VOLUME.to_owned(),
            excused: true,
        };
        progress.explain(mount.point.as_os_str().as_bytes(), explanation);
    }
}

pub(super) fn list() -> Vec<Mount> {
    File::open(MOUNTINFO_PATH).map_or_else(|_| Vec::new(), |table| read(&table))
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
            let device = String::from_utf8_lossy(fields.nth(1)?).into_owned();
            let mut path = || Some(PathBuf::from(OsString::from_vec(unescape(fields.next()?))));
            Some(Mount {
                id,
                device,
                root: path()?,
                point: path()?,
            })
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

/// MountSnapshot that are to be detached, the outermost first.
fn foreign(mounts: Vec<Mount>, roots: &[PathBuf], before: Option<&MountSnapshot>) -> Vec<Mount> {
    let is_foreign = |mount: &Mount| match before {
        Some(before) => {
            let in_proc = || {
                let proc = Path::new(PROC);
                path::lies_in(&mount.point, proc) || path::lies_in(proc, &mount.point)
            };
            let concerned = is_inside(mount, roots) || is_needed(mount, roots) || in_proc();
            concerned && !before.had(mount.id)
        }
        None => is_inside(mount, roots) && !is_needed(mount, roots),
    };
    let mut found: Vec<Mount> = mounts.into_iter().filter(is_foreign).collect();
    found.sort_by_key(|mount| mount.point.as_os_str().len());
    found
}

/// Detaches a mount, after making sure that the path still leads to it and that nothing follows outside.
fn detach_one(opener: Opener, mount: &Mount) -> Result<(), Errno> {
    let pinned = match openat::pin_any(opener, &mount.point) {
        // A symlink in the path: what was mounted there is mounted elsewhere now.
        Err(Errno::LOOP | Errno::NOTDIR) => return Err(Errno::STALE),
        pinned => pinned?,
    };
    if openat::mount_id(&pinned)? != mount.id {
        return Err(Errno::STALE);
    }
    match openat::magic_link(&pinned) {
        Ok(link) => detach_privately(&link),
        // Something lies on /proc.
        Err(_) => from_inside(&pinned),
    }
}

fn detach_privately(path: &str) -> Result<(), Errno> {
    // Bound recursively, the mounts beneath are peers of the host's own: detaching one would detach the other.
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change(path, private)?;
    unmount(path, UnmountFlags::DETACH)
}

/// The same by the one path that leads to a descriptor without /proc: the working directory's.
fn from_inside(pinned: &OwnedFd) -> Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let back = openat(CWD, c".", flags, Mode::empty());
    fchdir(pinned).map_err(|errno| Errno::from_raw_os_error(errno as i32))?;
    let detached = detach_privately(".");
    // Nothing of ours depends on it, and the job's own are gone.
    let _ = back.map(fchdir);
    detached
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
        assert_eq!(mounts[1].device, "0:30");
        assert_eq!(mounts[1].root, Path::new("/"));
        assert_eq!(mounts[2].id, 41);
        assert_eq!(mounts[2].point, Path::new("/ws/a b\nc\\"));
        assert_eq!(unescape(b"\\9\\04"), b"\\9\\04");
    }

    fn points(roots: &[&str], before: Option<&[u64]>) -> Vec<PathBuf> {
        let roots: Vec<PathBuf> = roots.iter().map(PathBuf::from).collect();
        let before = before.map(|ids| MountSnapshot {
            mounts: (parse(MOUNTINFO).into_iter())
                .filter(|mount| ids.contains(&mount.id))
                .collect(),
            ..MountSnapshot::default()
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
