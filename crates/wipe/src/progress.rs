//! What one wipe has done so far: counts, failures, time. Shared by all its threads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use tracing::info;

use super::failures::{Explanation, Failures};
use linux::output::is_unprintable;

/// A path that is longer is cut off: names of a tree's depths can add up to megabytes.
const MAX_PRINTABLE: usize = 4096;
/// Time between two progress lines.
const LOG_INTERVAL: Duration = Duration::from_secs(5);
/// Time between two questions whether the budget has become smaller.
const DEADLINE_INTERVAL: Duration = Duration::from_millis(100);

/// Says how much time is left when that has become less than the budget.
pub type Deadline<'a> = &'a (dyn Fn() -> Option<Duration> + Sync);

/// Counts so far.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Counts {
    pub(super) files: u64,
    pub(super) directories: u64,
    pub(super) bytes: u64,
    pub(super) milliseconds: u64,
}

impl Counts {
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
pub(super) struct Progress<'a> {
    began: Instant,
    /// When the budget ends, in milliseconds after the begin; the highest number without one.
    end: AtomicU64,
    deadline: Option<Deadline<'a>>,
    next_deadline_check: AtomicU64,
    over: AtomicBool,
    report: fn(Counts),
    next_log: AtomicU64,
    pub(super) files: AtomicU64,
    pub(super) directories: AtomicU64,
    pub(super) bytes: AtomicU64,
    denied: AtomicBool,
    failures: Mutex<Failures>,
}

impl<'a> Progress<'a> {
    pub(super) fn new(budget: Option<Duration>, deadline: Option<Deadline<'a>>) -> Self {
        Self {
            began: Instant::now(),
            end: AtomicU64::new(budget.map_or(u64::MAX, milliseconds)),
            deadline,
            next_deadline_check: AtomicU64::new(0),
            over: AtomicBool::new(false),
            report: log,
            next_log: AtomicU64::new(milliseconds(LOG_INTERVAL)),
            files: AtomicU64::new(0),
            directories: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            denied: AtomicBool::new(false),
            failures: Mutex::default(),
        }
    }

    /// Whether the budget is used up. Says where the wipe stands, now and then.
    pub(super) fn is_over(&self) -> bool {
        let now = milliseconds(self.began.elapsed());
        if due(&self.next_log, now, LOG_INTERVAL) {
            (self.report)(self.counts());
        }
        if let Some(deadline) = self.deadline {
            if due(&self.next_deadline_check, now, DEADLINE_INTERVAL) {
                let left = deadline().map_or(u64::MAX, milliseconds);
                let end = now.saturating_add(left);
                self.end.fetch_min(end, Relaxed);
            }
        }
        if now >= self.end.load(Relaxed) {
            self.over.store(true, Relaxed);
        }
        self.over.load(Relaxed)
    }

    /// Whether the budget was used up so long ago.
    pub(super) fn is_over_by(&self, more: Duration) -> bool {
        let end = self.end.load(Relaxed);
        milliseconds(self.began.elapsed()) >= end.saturating_add(milliseconds(more))
    }

    /// What is left of the budget; `None` without one.
    pub(super) fn left(&self) -> Option<Duration> {
        let deadline = self.end.load(Relaxed);
        let now = milliseconds(self.began.elapsed());
        (deadline != u64::MAX).then(|| Duration::from_millis(deadline.saturating_sub(now)))
    }

    /// Time since the wipe began.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// The same, but progress is said otherwise than in the log.
    pub(super) fn reporting_to(mut self, report: fn(Counts)) -> Self {
        self.report = report;
        self
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            files: self.files.load(Relaxed),
            directories: self.directories.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            milliseconds: milliseconds(self.began.elapsed()),
        }
    }

    /// Adds what a child did.
    pub(super) fn add(&self, done: Counts) {
        self.files.fetch_add(done.files, Relaxed);
        self.directories.fetch_add(done.directories, Relaxed);
        self.bytes.fetch_add(done.bytes, Relaxed);
    }

    /// Remembers why `path` could not be removed.
    pub(super) fn record_failure(&self, path: &[u8], errno: Errno) {
        if matches!(errno, Errno::ACCESS | Errno::PERM) {
            self.denied.store(true, Relaxed);
        }
        self.failures().record(path, errno);
    }

    /// Says why `path` stays, for good.
    pub(super) fn explain(&self, path: &[u8], explanation: Explanation) {
        self.failures().explain(path, explanation);
    }

    /// Whether anything failed for want of permission, which the owner of the files may have.
    pub(super) fn denied(&self) -> bool {
        self.denied.load(Relaxed)
    }

    /// What failed so far, and why.
    pub(super) fn failures(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn log(progress: Counts) {
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

/// A path as one printable line: what is not UTF-8 or would move a terminal's cursor is escaped.
pub(super) fn printable(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len().min(MAX_PRINTABLE));
    for chunk in path.utf8_chunks() {
        for character in chunk.valid().chars() {
            if text.len() >= MAX_PRINTABLE {
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
        if text.len() >= MAX_PRINTABLE {
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
            assert!(printable(long).len() < MAX_PRINTABLE + 16);
        }
    }

    #[test]
    fn a_want_of_permission_is_noted() {
        let progress = Progress::new(None, None);
        progress.record_failure(b"/a", Errno::BUSY);
        assert!(!progress.denied());
        progress.record_failure(b"/a", Errno::PERM);
        assert!(progress.denied());
    }

    #[test]
    fn a_budget_ends() {
        assert!(Progress::new(Some(Duration::ZERO), None).is_over());
        assert!(!Progress::new(Some(Duration::from_secs(60)), None).is_over());
        assert!(!Progress::new(None, None).is_over());
    }

    #[test]
    fn a_budget_shrinks_when_there_is_a_hurry_and_never_grows() {
        let deadline = || Some(Duration::ZERO);
        let progress = Progress::new(Some(Duration::from_secs(60)), Some(&deadline));
        assert!(progress.is_over());
        let no_hurry = || Some(Duration::from_secs(600));
        let progress = Progress::new(Some(Duration::from_secs(60)), Some(&no_hurry));
        assert!(!progress.is_over());
        assert!(progress.left().unwrap() <= Duration::from_secs(60));
    }
}
