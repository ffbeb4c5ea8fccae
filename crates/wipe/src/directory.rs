//! An open directory of a tree that is being removed, and what it waits for.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::fs::{IFlags, Mode, fchmod, ioctl_getflags, ioctl_setflags};

/// How many more rounds a directory gets that never becomes empty, because a process writes to it.
const MAX_ROUNDS: u32 = 8;
/// The number of entries after which a listing is compared with a count.
const LONG_LISTING: u64 = 1 << 16;
/// The later rounds together may take this time more than the first round took.
const MAX_LATER_ROUNDS: Duration = Duration::from_secs(1);
/// How many more rounds a directory gets because directories were moved into it. No tree needs so many.
const MAX_MOVE_ROUNDS: u32 = 1 << 16;

/// The time is not known yet.
const UNKNOWN: u64 = u64::MAX;

/// The size of a listing in comparison with its directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListingSize {
    /// The size is as expected.
    Normal,
    /// The listing is so long that its directory must be counted.
    Large,
    /// The listing is longer than its directory was, or has taken too long.
    TooLarge,
}

/// The position of a directory in its tree.
#[derive(Debug)]
pub(super) enum Position {
    /// The root, which is emptied and stays.
    Root(PathBuf),
    /// A directory beneath another one.
    Below {
        /// The directory above, which stays open until all beneath it is done.
        parent: Arc<Directory>,
        /// The name in the directory above.
        name: Box<CStr>,
        /// True if it stays when it is empty.
        keep: bool,
    },
}

/// A directory that is being emptied. It is open as long as the value lives.
///
/// Several threads share it. One thread at a time lists it: the thread that has its `Task::List` or has just opened it.
/// That thread is "the lister" below. A round ends when `pending` reaches 0; the thread that sees this, "the finisher",
/// removes the directory or starts the next round.
///
/// | field | written by | read by | order |
/// |---|---|---|---|
/// | `pending` | the lister (more), each finished entry (less), the finisher (1 for the next round) | each finished entry | AcqRel: the finisher sees all that the round did |
/// | `rounds`, `moves` | the finisher | the finisher; the lister (`rounds`) | set before the round is queued |
/// | `listed`, `expected` | the lister; the finisher (0 for the next round) | the lister | one thread at a time |
/// | `time` | the lister, once; the finisher, at the first retry | the lister, the finisher | one thread at a time |
/// | `saw` | the lister (true), the finisher (false) | the finisher | before `pending` |
/// | `stuck` | any thread (true); it is never reset | the finisher | before `pending` |
/// | `moved_in` | any thread that moves a directory up (true), the finisher (false) | the finisher | before that thread's entry is finished |
/// | `unlocked` | any thread, once | any thread | alone: swap decides which thread unlocks |
///
/// Relaxed is enough for all but `pending`: the queue's mutex and `pending` order them.
#[derive(Debug)]
pub(super) struct Directory {
    fd: OwnedFd,
    position: Position,
    /// The number of open directories of the whole tree.
    open: Arc<AtomicUsize>,
    /// The listing, and the directories in it that are not finished.
    pending: AtomicU32,
    /// Rounds that began because the directory was not empty.
    rounds: AtomicU32,
    /// Rounds that began because directories were moved into it.
    moves: AtomicU32,
    /// Entries listed in this round.
    listed: AtomicU64,
    /// Entries that this round may list; 0 if they have not been counted.
    expected: AtomicU64,
    /// Milliseconds after the begin of the wipe: the begin of the first round, and from the first retry on the end of all.
    time: AtomicU64,
    /// This round's listing found an entry.
    pub(super) saw: AtomicBool,
    /// An entry in it cannot be removed.
    pub(super) stuck: AtomicBool,
    /// A directory was moved into it.
    moved_in: AtomicBool,
    /// Its mode and inode flags have been changed.
    unlocked: AtomicBool,
}

impl Directory {
    pub(super) fn new(fd: OwnedFd, position: Position, open: &Arc<AtomicUsize>) -> Arc<Self> {
        open.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self {
            fd,
            position,
            open: Arc::clone(open),
            pending: AtomicU32::new(1),
            rounds: AtomicU32::new(0),
            moves: AtomicU32::new(0),
            listed: AtomicU64::new(0),
            expected: AtomicU64::new(0),
            time: AtomicU64::new(UNKNOWN),
            saw: AtomicBool::new(false),
            stuck: AtomicBool::new(false),
            moved_in: AtomicBool::new(false),
            unlocked: AtomicBool::new(false),
        })
    }

    /// Returns the directory above and the name in it, if this directory is to be removed.
    pub(super) fn to_remove(&self) -> Option<(&Arc<Self>, &CStr)> {
        match &self.position {
            Position::Below {
                parent,
                name,
                keep: false,
            } => Some((parent, name)),
            _ => None,
        }
    }

    pub(super) fn parent(&self) -> Option<&Arc<Self>> {
        match &self.position {
            Position::Root(_) => None,
            Position::Below { parent, .. } => Some(parent),
        }
    }

    /// Records that a directory was moved into this one, so that it is listed again.
    pub(super) fn note_moved_in(&self) {
        self.moved_in.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_root(&self) -> bool {
        matches!(self.position, Position::Root(_))
    }

    /// Returns its path, which is right as long as nothing is moved.
    pub(super) fn path(&self) -> Vec<u8> {
        match &self.position {
            Position::Root(path) => path.as_os_str().as_bytes().to_vec(),
            Position::Below { parent, name, .. } => parent.path_of(name),
        }
    }

    /// Returns the path of the entry `name`, which is right as long as nothing is moved.
    pub(super) fn path_of(&self, name: &CStr) -> Vec<u8> {
        let mut names = vec![name.to_bytes()];
        let mut here = self;
        loop {
            match &here.position {
                Position::Below { parent, name, .. } => {
                    names.push(name.to_bytes());
                    here = parent;
                }
                Position::Root(path) => {
                    names.push(path.as_os_str().as_bytes());
                    break;
                }
            }
        }
        names.reverse();
        names.join(&b'/')
    }

    /// Records that `more` directories must be done before this one.
    pub(super) fn wait_for(&self, more: usize) {
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        self.pending.fetch_add(more, Ordering::Relaxed);
    }

    /// Records that one of them, or the listing, is done. Returns true for the last one.
    pub(super) fn finish_one(&self) -> bool {
        self.pending.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Records `more` entries of a listing that has not ended. `now` is the time since the wipe began.
    pub(super) fn listed(&self, more: usize, now: Duration) -> ListingSize {
        let more = u64::try_from(more).unwrap_or(u64::MAX);
        let listed = self.listed.fetch_add(more, Ordering::Relaxed) + more;
        if self.rounds.load(Ordering::Relaxed) > 0 && self.is_late(now) {
            return ListingSize::TooLarge;
        }
        let expected = self.expected.load(Ordering::Relaxed);
        if listed < LONG_LISTING {
            ListingSize::Normal
        } else if expected == 0 {
            ListingSize::Large
        } else if listed <= expected {
            ListingSize::Normal
        } else {
            ListingSize::TooLarge
        }
    }

    /// Records how many entries are still to be listed.
    pub(super) fn expect(&self, there: u64) {
        let listed = self.listed.load(Ordering::Relaxed);
        let expected = listed.saturating_add(there).max(1);
        self.expected.store(expected, Ordering::Relaxed);
    }

    /// Records when the first listing begins.
    pub(super) fn begins(&self, now: Duration) {
        let _ = self.time.compare_exchange(
            UNKNOWN,
            milliseconds(now),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
    }

    fn is_late(&self, now: Duration) -> bool {
        milliseconds(now) > self.time.load(Ordering::Relaxed)
    }

    /// Starts another round because the directory is not empty. Returns false if there were enough rounds.
    pub(super) fn may_retry(&self, now: Duration) -> bool {
        if self.rounds.load(Ordering::Relaxed) == 0 {
            let now = milliseconds(now);
            let began = self.time.load(Ordering::Relaxed).min(now);
            let end = now + (now - began) + milliseconds(MAX_LATER_ROUNDS);
            self.time.store(end, Ordering::Relaxed);
        } else if self.is_late(now) {
            return false;
        }
        self.start_round(&self.rounds, MAX_ROUNDS)
    }

    /// Starts another round if directories were moved into this one. Returns false if not, or if there were enough
    /// rounds.
    pub(super) fn may_retry_for_moved(&self) -> bool {
        self.moved_in.swap(false, Ordering::Relaxed)
            && self.start_round(&self.moves, MAX_MOVE_ROUNDS)
    }

    fn start_round(&self, rounds: &AtomicU32, limit: u32) -> bool {
        if rounds.fetch_add(1, Ordering::Relaxed) >= limit {
            return false;
        }
        self.saw.store(false, Ordering::Relaxed);
        self.listed.store(0, Ordering::Relaxed);
        self.expected.store(0, Ordering::Relaxed);
        self.pending.store(1, Ordering::Relaxed);
        rustix::fs::seek(&self.fd, rustix::fs::SeekFrom::Start(0)).is_ok()
    }

    /// Returns the directories above it, the outermost one first, and itself.
    pub(super) fn ancestry(self: &Arc<Self>) -> Vec<Arc<Self>> {
        let mut ancestry = vec![Arc::clone(self)];
        let mut here = self;
        while let Some(parent) = here.parent() {
            ancestry.push(Arc::clone(parent));
            here = parent;
        }
        ancestry.reverse();
        ancestry
    }

    /// Removes, once, what keeps its owner from removing entries: the mode and the inode flags.
    pub(super) fn unlock(&self) {
        if !self.unlocked.swap(true, Ordering::Relaxed) {
            // If permission is denied, the next call on the entries returns the same error.
            clear_inode_flags(&self.fd);
            let _ = fchmod(&self.fd, Mode::RWXU);
        }
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Makes a file or directory neither immutable nor append-only. Returns its flags from before if they changed.
pub(super) fn clear_inode_flags(fd: &impl AsFd) -> Option<IFlags> {
    let bad = IFlags::IMMUTABLE | IFlags::APPEND;
    let flags = ioctl_getflags(fd).ok()?;
    let cleared = flags.intersects(bad) && ioctl_setflags(fd, flags - bad).is_ok();
    cleared.then_some(flags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openat::{self, Opener};

    fn directory() -> (tempfile::TempDir, Arc<Directory>) {
        let place = tempfile::tempdir().unwrap();
        let fd = openat::open_root(Opener::find(), place.path()).unwrap();
        let root = Position::Root(place.path().to_owned());
        let directory = Directory::new(fd, root, &Arc::new(AtomicUsize::new(0)));
        (place, directory)
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn listed_is_too_large_beyond_the_expected_count() {
        let (_place, dir) = directory();
        let long = usize::try_from(LONG_LISTING).unwrap();
        assert_eq!(dir.listed(long - 1, SECOND), ListingSize::Normal);
        assert_eq!(dir.listed(1, SECOND), ListingSize::Large);
        dir.expect(1000);
        assert_eq!(dir.listed(1000, 1000 * SECOND), ListingSize::Normal);
        assert_eq!(dir.listed(1, SECOND), ListingSize::TooLarge);
        // The next round starts from 0.
        assert!(dir.may_retry(SECOND));
        assert_eq!(dir.listed(1000, SECOND), ListingSize::Normal);
    }

    #[test]
    fn later_rounds_end_one_second_after_the_firsts_length() {
        let (_place, dir) = directory();
        dir.begins(10 * SECOND);
        dir.begins(12 * SECOND);
        assert!(dir.may_retry(13 * SECOND));
        assert_eq!(dir.listed(1, 17 * SECOND), ListingSize::Normal);
        assert!(dir.may_retry(17 * SECOND));
        assert_eq!(dir.listed(1, 18 * SECOND), ListingSize::TooLarge);
        assert!(!dir.may_retry(18 * SECOND));
    }

    #[test]
    fn may_retry_allows_eight_rounds() {
        let (_place, dir) = directory();
        dir.begins(SECOND);
        let rounds = (0..100).take_while(|_| dir.may_retry(SECOND)).count();
        assert_eq!(rounds, 8);
    }
}
