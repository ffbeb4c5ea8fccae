//! What one wipe has done so far: counts, failures, time. Shared by all its threads.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use tracing::info;

/// So many failures are remembered with their cause; a hostile tree may have millions.
const REMEMBERED: usize = 512;
/// Time between two progress lines.
const PROGRESS: Duration = Duration::from_secs(5);

/// Counters and failures of a wipe under way.
#[derive(Debug)]
pub(super) struct Tally {
    began: Instant,
    deadline: Option<Instant>,
    over: AtomicBool,
    next_line: AtomicU64,
    pub(super) files: AtomicU64,
    pub(super) directories: AtomicU64,
    pub(super) bytes: AtomicU64,
    denied: AtomicBool,
    causes: Mutex<HashMap<String, String>>,
}

impl Tally {
    pub(super) fn new(budget: Option<Duration>) -> Self {
        let began = Instant::now();
        Self {
            began,
            deadline: budget.and_then(|budget| began.checked_add(budget)),
            over: AtomicBool::new(false),
            next_line: AtomicU64::new(PROGRESS.as_secs()),
            files: AtomicU64::new(0),
            directories: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            denied: AtomicBool::new(false),
            causes: Mutex::new(HashMap::new()),
        }
    }

    /// Whether the budget is used up. Says where the wipe stands, now and then.
    pub(super) fn over(&self) -> bool {
        let now = Instant::now();
        self.say_progress(now);
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            self.over.store(true, Relaxed);
        }
        self.over.load(Relaxed)
    }

    /// Whether the budget was used up so long ago.
    pub(super) fn over_by(&self, more: Duration) -> bool {
        self.deadline
            .is_some_and(|deadline| Instant::now() >= deadline + more)
    }

    /// What is left of the budget; `None` without one.
    pub(super) fn left(&self) -> Option<Duration> {
        let deadline = self.deadline?;
        Some(deadline.saturating_duration_since(Instant::now()))
    }

    /// Time since the wipe began.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    fn say_progress(&self, now: Instant) {
        let seconds = now.duration_since(self.began).as_secs();
        let due = self.next_line.load(Relaxed);
        let next = seconds + PROGRESS.as_secs();
        // Of several threads only the one that moves the hand speaks.
        if seconds >= due && (self.next_line.compare_exchange(due, next, Relaxed, Relaxed)).is_ok()
        {
            info!(
                files = self.files.load(Relaxed),
                directories = self.directories.load(Relaxed),
                seconds,
                "wiping"
            );
        }
    }

    /// Remembers why `path` could not be removed.
    pub(super) fn failed(&self, path: &[u8], errno: Errno) {
        if matches!(errno, Errno::ACCESS | Errno::PERM) {
            self.denied.store(true, Relaxed);
        }
        let mut causes = self.causes();
        if causes.len() < REMEMBERED {
            let cause = || name_of(errno);
            causes.entry(printable(path)).or_insert_with(cause);
        }
    }

    /// The same in words of our own, for a path that is printable already.
    pub(super) fn note(&self, path: String, cause: String) {
        let mut causes = self.causes();
        if causes.len() < REMEMBERED || causes.contains_key(&path) {
            causes.insert(path, cause);
        }
    }

    /// Whether anything failed for want of permission, which the owner of the files may have.
    pub(super) fn denied(&self) -> bool {
        self.denied.load(Relaxed)
    }

    pub(super) fn cause(&self, path: &str) -> Option<String> {
        self.causes().get(path).cloned()
    }

    /// All remembered causes.
    pub(super) fn causes(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.causes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of an error, as errno(3) lists it.
pub(super) fn name_of(errno: Errno) -> String {
    format!("{:?}", nix::errno::Errno::from_raw(errno.raw_os_error()))
}

/// A path as one printable line: what is not UTF-8 or would move a terminal's cursor is escaped.
pub(super) fn printable(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for chunk in OsStr::from_bytes(path).as_bytes().utf8_chunks() {
        for character in chunk.valid().chars() {
            if character == '\\' || character.is_control() || is_invisible(character) {
                text.extend(character.escape_default());
            } else {
                text.push(character);
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// Characters that reorder or hide the text around them.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
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
    }

    #[test]
    fn failures_are_remembered_up_to_a_bound() {
        let tally = Tally::new(None);
        for number in 0..2 * REMEMBERED {
            tally.failed(format!("/{number}").as_bytes(), Errno::BUSY);
        }
        assert_eq!(tally.cause("/1").as_deref(), Some("EBUSY"));
        assert_eq!(tally.causes().len(), REMEMBERED);
        assert!(!tally.denied());
        tally.failed(b"/1", Errno::PERM);
        assert!(tally.denied());
        tally.note("/1".to_owned(), "EPERM".to_owned());
        assert_eq!(tally.cause("/1").as_deref(), Some("EPERM"));
    }

    #[test]
    fn a_budget_ends() {
        assert!(Tally::new(Some(Duration::ZERO)).over());
        assert!(!Tally::new(Some(Duration::from_secs(60))).over());
        assert!(!Tally::new(None).over());
    }
}
