//! An open directory of a tree being removed, and what it waits for.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::fs::{IFlags, Mode, fchmod, ioctl_getflags, ioctl_setflags};

/// A directory that never gets empty, because somebody writes to it, is listed so often once more.
const MAX_ROUNDS: u32 = 8;
/// A listing that is longer than this is held against what there is.
const LONG_LISTING: u64 = 1 << 16;
/// The later rounds together take no longer than the first one, and this.
const MAX_LATER_ROUNDS: Duration = Duration::from_secs(1);
/// The same where deep directories were moved into it: so often as no tree needs.
const MAX_MOVE_ROUNDS: u32 = 1 << 16;

/// No time yet.
const UNKNOWN: u64 = u64::MAX;

/// What a listing has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListingSize {
    /// Nothing to wonder at.
    Normal,
    /// So much that it is time to count what is there.
    Large,
    /// More than can have been there, or for too long.
    TooLarge,
}

/// Where a directory stands in its tree.
#[derive(Debug)]
pub(super) enum Position {
    /// The directory that is emptied and stays.
    Root(PathBuf),
    /// Beneath another.
    Below {
        /// Held open until all beneath is done.
        parent: Arc<Directory>,
        /// Its name there.
        name: Box<CStr>,
        /// Whether it stays when it is empty.
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

    /// The directory it is in, and its name there, if it is to be removed when empty.
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

    /// Notes that a directory was moved into it: it must be listed again.
    pub(super) fn note_moved_in(&self) {
        self.moved_in.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_root(&self) -> bool {
        matches!(self.position, Position::Root(_))
    }

    /// Its own path, as long as nobody moves anything.
    pub(super) fn path(&self) -> Vec<u8> {
        match &self.position {
            Position::Root(path) => path.as_os_str().as_bytes().to_vec(),
            Position::Below { parent, name, .. } => parent.path_of(name),
        }
    }

    /// The path of `name` in it, as long as nobody moves anything.
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

    /// Notes `more` directories that must be done before this one.
    pub(super) fn wait_for(&self, more: usize) {
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        self.pending.fetch_add(more, Ordering::Relaxed);
    }

    /// Notes that one of them, or the listing, is done; true for the last.
    pub(super) fn finish_one(&self) -> bool {
        self.pending.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Notes that the listing has `more` entries, and is not at its end, so long after the wipe began.
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

    /// Notes how many entries are there to be listed still.
    pub(super) fn expect(&self, there: u64) {
        let listed = self.listed.load(Ordering::Relaxed);
        let expected = listed.saturating_add(there).max(1);
        self.expected.store(expected, Ordering::Relaxed);
    }

    /// Notes when its first listing begins.
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

    /// Begins another round of listing, because it is not empty; false when there were enough.
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

    /// The same because deep directories were moved into it; false where there were none.
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

    /// The directories above it, the outermost first, and itself.
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

    /// Takes away, once, what keeps its owner from removing entries: its mode and inode flags.
    pub(super) fn unlock(&self) {
        if !self.unlocked.swap(true, Ordering::Relaxed) {
            // Whoever may not do this gets the same error again from what it does next.
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

/// Makes a file or directory neither immutable nor append-only; gives the flags that it had, if they changed.
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
    fn a_listing_ends_when_it_is_longer_than_what_was_there() {
        let (_place, dir) = directory();
        let long = usize::try_from(LONG_LISTING).unwrap();
        assert_eq!(dir.listed(long - 1, SECOND), ListingSize::Normal);
        assert_eq!(dir.listed(1, SECOND), ListingSize::Large);
        dir.expect(1000);
        assert_eq!(dir.listed(1000, 1000 * SECOND), ListingSize::Normal);
        assert_eq!(dir.listed(1, SECOND), ListingSize::TooLarge);
        // The next round begins anew.
        assert!(dir.may_retry(SECOND));
        assert_eq!(dir.listed(1000, SECOND), ListingSize::Normal);
    }

    #[test]
    fn later_rounds_take_no_longer_than_the_first_and_a_second() {
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
    fn rounds_are_few_however_short_they_are() {
        let (_place, dir) = directory();
        dir.begins(SECOND);
        let rounds = (0..100).take_while(|_| dir.may_retry(SECOND)).count();
        assert_eq!(rounds, 8);
    }
}
