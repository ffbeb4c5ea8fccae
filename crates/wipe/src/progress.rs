//! The progress of a wipe, which all its threads share: counts, failures and time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use tracing::info;

use super::failures::{Explanation, Failures};
use linux::output::is_unprintable;
use linux::termination_request::TerminationRequest;

/// The bytes after which a path is cut off. The names of a deep tree can add up to megabytes.
const MAX_PRINTABLE: usize = 4096;
/// The time between two lines in the log.
const LOG_INTERVAL: Duration = Duration::from_secs(5);
/// The time between two checks for a request to end.
const REQUEST_INTERVAL: Duration = Duration::from_millis(100);

/// When a wipe stops after a request to end this process, although its budget is not used up.
#[derive(Debug, Clone, Copy)]
pub(super) enum StopAt<'a> {
    /// As soon as the request arrives: no job runs yet.
    Request(&'a TerminationRequest),
    /// At the end of the grace period that follows the request.
    GraceEnd(&'a TerminationRequest),
}

impl StopAt<'_> {
    /// Returns the time that is left; `None` if no request has arrived.
    fn remaining(self) -> Option<Duration> {
        match self {
            Self::Request(request) => request.check().then_some(Duration::ZERO),
            Self::GraceEnd(request) => {
                request.check();
                request.remaining()
            }
        }
    }
}

/// What has been removed so far.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Counts {
    pub(super) files: u64,
    pub(super) directories: u64,
    pub(super) bytes: u64,
    pub(super) milliseconds: u64,
}

impl Counts {
    /// Returns what was removed since `before`.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            files: self.files.saturating_sub(before.files),
            directories: self.directories.saturating_sub(before.directories),
            bytes: self.bytes.saturating_sub(before.bytes),
            ..self
        }
    }
}

/// The counts, failures and times of a wipe in progress.
pub(super) struct Progress<'a> {
    began: Instant,
    /// The end of the budget, in milliseconds after the begin; the highest number for no budget.
    end: AtomicU64,
    stop: Option<StopAt<'a>>,
    next_request_check: AtomicU64,
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
    pub(super) fn new(budget: Option<Duration>, stop: Option<StopAt<'a>>) -> Self {
        Self {
            began: Instant::now(),
            end: AtomicU64::new(budget.map_or(u64::MAX, milliseconds)),
            stop,
            next_request_check: AtomicU64::new(0),
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

    /// Returns whether the budget is used up. Reports the progress at intervals.
    pub(super) fn is_over(&self) -> bool {
        let now = milliseconds(self.began.elapsed());
        if due(&self.next_log, now, LOG_INTERVAL) {
            (self.report)(self.counts());
        }
        if let Some(stop) = self.stop
            && due(&self.next_request_check, now, REQUEST_INTERVAL)
        {
            self.shorten(now, stop);
        }
        if now >= self.end.load(Relaxed) {
            self.over.store(true, Relaxed);
        }
        self.over.load(Relaxed)
    }

    /// Shortens the budget if less time than its rest is left after a request to end. `now` is in milliseconds after the begin.
    fn shorten(&self, now: u64, stop: StopAt) {
        let left = stop.remaining().map_or(u64::MAX, milliseconds);
        self.end.fetch_min(now.saturating_add(left), Relaxed);
    }

    /// Returns whether the budget was used up `more` ago.
    pub(super) fn is_over_by(&self, more: Duration) -> bool {
        let end = self.end.load(Relaxed);
        milliseconds(self.began.elapsed()) >= end.saturating_add(milliseconds(more))
    }

    /// Returns the rest of the budget; `None` if there is no budget.
    pub(super) fn left(&self) -> Option<Duration> {
        let end = self.end.load(Relaxed);
        let now = milliseconds(self.began.elapsed());
        (end != u64::MAX).then(|| Duration::from_millis(end.saturating_sub(now)))
    }

    /// Returns the time since the wipe began.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Sends progress to `report` and not to the log.
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

    /// Adds what a child removed.
    pub(super) fn add(&self, done: Counts) {
        self.files.fetch_add(done.files, Relaxed);
        self.directories.fetch_add(done.directories, Relaxed);
        self.bytes.fetch_add(done.bytes, Relaxed);
    }

    /// Records that `path` could not be removed.
    pub(super) fn record_failure(&self, path: &[u8], errno: Errno) {
        if matches!(errno, Errno::ACCESS | Errno::PERM) {
            self.denied.store(true, Relaxed);
        }
        self.failures().record(path, errno);
    }

    /// Records an explanation for `path`.
    pub(super) fn explain(&self, path: &[u8], explanation: Explanation) {
        self.failures().explain(path, explanation);
    }

    /// Returns whether permission was denied for an entry, which its owner could still remove.
    pub(super) fn denied(&self) -> bool {
        self.denied.load(Relaxed)
    }

    /// Returns the failures so far.
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

/// Returns whether the time `hand` has come, and moves it on. Of several threads only one gets true.
fn due(hand: &AtomicU64, now: u64, interval: Duration) -> bool {
    let at = hand.load(Relaxed);
    let next = now + milliseconds(interval);
    now >= at && hand.compare_exchange(at, next, Relaxed, Relaxed).is_ok()
}

/// Returns a path as one printable line. Escapes bytes that are not UTF-8, and characters that control a terminal.
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
    fn printable_escapes_and_cuts_off() {
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
    fn denied_is_set_by_permission_errors_only() {
        let progress = Progress::new(None, None);
        progress.record_failure(b"/a", Errno::BUSY);
        assert!(!progress.denied());
        progress.record_failure(b"/a", Errno::PERM);
        assert!(progress.denied());
    }

    #[test]
    fn is_over_after_the_budget() {
        assert!(Progress::new(Some(Duration::ZERO), None).is_over());
        assert!(!Progress::new(Some(Duration::from_secs(60)), None).is_over());
        assert!(!Progress::new(None, None).is_over());
    }

    #[test]
    fn a_request_shortens_the_budget_and_never_extends_it() {
        let seconds = Duration::from_secs;
        let request = |grace| {
            let request = TerminationRequest::new(seconds(grace));
            request.record(Instant::now());
            request
        };
        let left = |stop: StopAt<'_>| {
            let progress = Progress::new(Some(seconds(60)), Some(stop));
            let over = progress.is_over();
            assert_eq!(over, progress.left() == Some(Duration::ZERO));
            progress.left().unwrap()
        };
        assert_eq!(left(StopAt::Request(&request(600))), Duration::ZERO);
        assert_eq!(left(StopAt::GraceEnd(&request(0))), Duration::ZERO);
        assert!(left(StopAt::GraceEnd(&request(30))) <= seconds(30));
        let rest = left(StopAt::GraceEnd(&request(600)));
        assert!(rest > seconds(30) && rest <= seconds(60));
    }

    #[test]
    fn without_a_request_the_whole_budget_is_left() {
        let request = TerminationRequest::new(Duration::ZERO);
        for stop in [StopAt::Request(&request), StopAt::GraceEnd(&request)] {
            let progress = Progress::new(Some(Duration::from_secs(3600)), Some(stop));
            assert!(!progress.is_over());
            assert!(progress.left().unwrap() > Duration::from_secs(1800));
        }
    }
}
