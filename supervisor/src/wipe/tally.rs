//! What one wipe has done so far: counts, failures, time. Shared by all its threads.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use tracing::info;

use crate::sys::printable::is_unprintable;

/// So many failures are remembered with their cause, and then as many directories of others; a hostile tree may
/// have millions.
const REMEMBERED: usize = 2048;
/// A path that is longer is cut off: names of a tree's depths can add up to megabytes.
const LONGEST: usize = 4096;
/// Time between two progress lines.
const PROGRESS: Duration = Duration::from_secs(5);
/// Time between two questions whether the budget has become smaller.
const ASK: Duration = Duration::from_millis(100);

/// Says how much time is left when that has become less than the budget.
pub type Hurry<'a> = &'a (dyn Fn() -> Option<Duration> + Sync);

/// Counts so far.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Progress {
    pub(super) files: u64,
    pub(super) directories: u64,
    pub(super) bytes: u64,
    pub(super) milliseconds: u64,
}

impl Progress {
    /// What was done since `before`.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            files: self.files.saturating_sub(before.files),
            directories: self.directories.saturating_sub(before.directories),
            bytes: self.bytes.saturating_sub(before.bytes),
            ..self
        }
    }
}

/// Counters and failures of a wipe under way.
pub(super) struct Tally<'a> {
    began: Instant,
    /// When the budget ends, in milliseconds after the begin; the highest number without one.
    deadline: AtomicU64,
    hurry: Option<Hurry<'a>>,
    next_question: AtomicU64,
    over: AtomicBool,
    say: fn(Progress),
    next_line: AtomicU64,
    pub(super) files: AtomicU64,
    pub(super) directories: AtomicU64,
    pub(super) bytes: AtomicU64,
    denied: AtomicBool,
    /// A cause was not remembered.
    forgot: AtomicBool,
    causes: Mutex<HashMap<u64, String>>,
    notes: Mutex<HashMap<u64, Note>>,
}

/// A cause in words of our own: whatever else fails there, it stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) text: String,
    /// What stays for this cause is none of the job's.
    pub(super) excused: bool,
}

impl<'a> Tally<'a> {
    pub(super) fn new(budget: Option<Duration>, hurry: Option<Hurry<'a>>) -> Self {
        Self {
            began: Instant::now(),
            deadline: AtomicU64::new(budget.map_or(u64::MAX, milliseconds)),
            hurry,
            next_question: AtomicU64::new(0),
            over: AtomicBool::new(false),
            say: log,
            next_line: AtomicU64::new(milliseconds(PROGRESS)),
            files: AtomicU64::new(0),
            directories: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            denied: AtomicBool::new(false),
            forgot: AtomicBool::new(false),
            causes: Mutex::new(HashMap::new()),
            notes: Mutex::new(HashMap::new()),
        }
    }

    /// Whether the budget is used up. Says where the wipe stands, now and then.
    pub(super) fn over(&self) -> bool {
        let now = milliseconds(self.began.elapsed());
        if due(&self.next_line, now, PROGRESS) {
            (self.say)(self.progress());
        }
        if let Some(hurry) = self.hurry {
            if due(&self.next_question, now, ASK) {
                let left = hurry().map_or(u64::MAX, milliseconds);
                let end = now.saturating_add(left);
                self.deadline.fetch_min(end, Relaxed);
            }
        }
        if now >= self.deadline.load(Relaxed) {
            self.over.store(true, Relaxed);
        }
        self.over.load(Relaxed)
    }

    /// Whether the budget was used up so long ago.
    pub(super) fn over_by(&self, more: Duration) -> bool {
        let end = self.deadline.load(Relaxed);
        milliseconds(self.began.elapsed()) >= end.saturating_add(milliseconds(more))
    }

    /// What is left of the budget; `None` without one.
    pub(super) fn left(&self) -> Option<Duration> {
        let deadline = self.deadline.load(Relaxed);
        let now = milliseconds(self.began.elapsed());
        (deadline != u64::MAX).then(|| Duration::from_millis(deadline.saturating_sub(now)))
    }

    /// Time since the wipe began.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// The same, but progress is said otherwise than in the log.
    pub(super) fn saying(mut self, say: fn(Progress)) -> Self {
        self.say = say;
        self
    }

    pub(super) fn progress(&self) -> Progress {
        Progress {
            files: self.files.load(Relaxed),
            directories: self.directories.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            milliseconds: milliseconds(self.began.elapsed()),
        }
    }

    /// Adds what a child did.
    pub(super) fn add(&self, done: Progress) {
        self.files.fetch_add(done.files, Relaxed);
        self.directories.fetch_add(done.directories, Relaxed);
        self.bytes.fetch_add(done.bytes, Relaxed);
    }

    /// Remembers why `path` could not be removed.
    pub(super) fn failed(&self, path: &[u8], errno: Errno) {
        if matches!(errno, Errno::ACCESS | Errno::PERM) {
            self.denied.store(true, Relaxed);
        }
        let mut causes = self.causes();
        let key = if causes.len() < REMEMBERED {
            key(path)
        } else {
            self.forgot.store(true, Relaxed);
            key(parent(path))
        };
        if causes.len() < 2 * REMEMBERED {
            causes.entry(key).or_insert_with(|| name_of(errno));
        }
    }

    /// Remembers what a child found out about paths of which only the keys are known: it came last.
    pub(super) fn learn(&self, causes: Vec<(u64, String)>, forgot: bool) {
        self.forgot.fetch_or(forgot, Relaxed);
        let mut known = self.causes();
        for (key, cause) in causes {
            if known.len() < 2 * REMEMBERED || known.contains_key(&key) {
                known.insert(key, cause);
            }
        }
    }

    /// Says why `path` stays, for good.
    pub(super) fn note(&self, path: &[u8], note: Note) {
        let mut notes = self.notes();
        if notes.len() < REMEMBERED {
            notes.insert(key(path), note);
        }
    }

    /// Whether anything failed for want of permission, which the owner of the files may have.
    pub(super) fn denied(&self) -> bool {
        self.denied.load(Relaxed)
    }

    /// Why `path` was left: its own note or cause, or that of the nearest directory above it.
    pub(super) fn cause(&self, path: &[u8]) -> Option<Note> {
        let keys = keys(path);
        let noted = keys.last().and_then(|key| self.notes().get(key).cloned());
        noted.or_else(|| {
            let causes = self.causes();
            let own = keys.last().and_then(|key| causes.get(key));
            // That it is not empty explains nothing of what is in it.
            let above = || {
                let above = keys.iter().rev().skip(1);
                let mut above = above.filter_map(|key| causes.get(key));
                above.find(|cause| *cause != "ENOTEMPTY")
            };
            let text = own.or_else(above)?.clone();
            Some(Note {
                text,
                excused: false,
            })
        })
    }

    /// Whether there were too many causes to remember all.
    pub(super) fn forgot(&self) -> bool {
        self.forgot.load(Relaxed)
    }

    /// All remembered causes, by the key of their path.
    pub(super) fn causes(&self) -> MutexGuard<'_, HashMap<u64, String>> {
        self.causes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notes(&self) -> MutexGuard<'_, HashMap<u64, Note>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stands for a path, which may be long, in every process of ours.
fn key(path: &[u8]) -> u64 {
    keys(path).pop().unwrap_or_default()
}

/// The same for all directories above it, the outermost first, and for itself.
fn keys(path: &[u8]) -> Vec<u64> {
    let mut hasher = DefaultHasher::new();
    let names = path.split(|&byte| byte == b'/');
    let hashed = names.map(|name| {
        hasher.write(name);
        hasher.write_u8(b'/');
        hasher.finish()
    });
    hashed.collect()
}

/// The directory that a path lies in.
fn parent(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|&byte| byte == b'/');
    &path[..end.unwrap_or(0)]
}

fn log(progress: Progress) {
    info!(
        files = progress.files,
        directories = progress.directories,
        seconds = progress.milliseconds / 1000,
        "wiping"
    );
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Whether `hand` has been reached. Of several threads only the one that moves it on hears so.
fn due(hand: &AtomicU64, now: u64, interval: Duration) -> bool {
    let at = hand.load(Relaxed);
    let next = now + milliseconds(interval);
    now >= at && (hand.compare_exchange(at, next, Relaxed, Relaxed)).is_ok()
}

/// The name of an error, as errno(3) lists it.
pub(super) fn name_of(errno: Errno) -> String {
    format!("{:?}", nix::errno::Errno::from_raw(errno.raw_os_error()))
}

/// A path as one printable line: what is not UTF-8 or would move a terminal's cursor is escaped.
pub(super) fn printable(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len().min(LONGEST));
    for chunk in path.utf8_chunks() {
        for character in chunk.valid().chars() {
            if text.len() >= LONGEST {
                return text + "…";
            }
            if character == '\\' || is_unprintable(character) {
                text.extend(character.escape_default());
            } else {
                text.push(character);
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
        if text.len() >= LONGEST {
            return text + "…";
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_becomes_one_printable_line() {
        assert_eq!(printable(b"/a b/\xc3\xa4"), "/a b/ä");
        assert_eq!(
            printable(b"/a\nb\x1b[2J\\\xff"),
            "/a\\nb\\u{1b}[2J\\\\\\xff"
        );
        assert_eq!(printable("/\u{202e}x".as_bytes()), "/\\u{202e}x");
        for long in [&[b'a'; 1 << 20][..], &[0xff; 1 << 20]] {
            assert!(printable(long).len() < LONGEST + 16);
        }
    }

    fn cause(tally: &Tally, path: &str) -> Option<String> {
        tally.cause(path.as_bytes()).map(|note| note.text)
    }

    #[test]
    fn failures_are_remembered_up_to_a_bound_and_then_by_directory() {
        let tally = Tally::new(None, None);
        for number in 0..4 * REMEMBERED {
            tally.failed(format!("/a/{number}").as_bytes(), Errno::BUSY);
        }
        assert_eq!(cause(&tally, "/a/1").as_deref(), Some("EBUSY"));
        assert_eq!(tally.causes().len(), REMEMBERED + 1);
        // Not its own any more, but true.
        let last = format!("/a/{}", 4 * REMEMBERED - 1);
        assert_eq!(cause(&tally, &last).as_deref(), Some("EBUSY"));
        assert_eq!(cause(&tally, "/b/1"), None);
        assert!(tally.forgot() && !tally.denied());
        tally.failed(b"/a/1", Errno::PERM);
        assert!(tally.denied());
        for number in 0..4 * REMEMBERED {
            tally.failed(format!("/{number}/x").as_bytes(), Errno::BUSY);
        }
        assert_eq!(tally.causes().len(), 2 * REMEMBERED);
    }

    #[test]
    fn a_directory_that_failed_explains_what_is_in_it() {
        let tally = Tally::new(None, None);
        tally.failed(b"/a/b", Errno::MFILE);
        assert_eq!(cause(&tally, "/a/b/c/d").as_deref(), Some("EMFILE"));
        assert_eq!(cause(&tally, "/a/bc"), None);
        tally.failed(b"/e", Errno::NOTEMPTY);
        assert_eq!(cause(&tally, "/e").as_deref(), Some("ENOTEMPTY"));
        assert_eq!(cause(&tally, "/e/f"), None);
        assert!(!tally.forgot());
    }

    #[test]
    fn a_childs_causes_replace_ours_but_no_note() {
        let tally = Tally::new(None, None);
        let note = Note {
            text: "EXDEV (with a reason)".to_owned(),
            excused: true,
        };
        tally.note(b"/a", note.clone());
        tally.failed(b"/b", Errno::ACCESS);
        let learnt = |path: &[u8], cause: &str| (key(path), cause.to_owned());
        tally.learn(vec![learnt(b"/a", "EXDEV"), learnt(b"/b", "EPERM")], false);
        assert_eq!(tally.cause(b"/a"), Some(note));
        assert_eq!(cause(&tally, "/b").as_deref(), Some("EPERM"));
    }

    #[test]
    fn a_budget_ends() {
        assert!(Tally::new(Some(Duration::ZERO), None).over());
        assert!(!Tally::new(Some(Duration::from_secs(60)), None).over());
        assert!(!Tally::new(None, None).over());
    }

    #[test]
    fn a_budget_shrinks_when_there_is_a_hurry_and_never_grows() {
        let hurry = || Some(Duration::ZERO);
        let tally = Tally::new(Some(Duration::from_secs(60)), Some(&hurry));
        assert!(tally.over());
        let no_hurry = || Some(Duration::from_secs(600));
        let tally = Tally::new(Some(Duration::from_secs(60)), Some(&no_hurry));
        assert!(!tally.over());
        assert!(tally.left().unwrap() <= Duration::from_secs(60));
    }
}
