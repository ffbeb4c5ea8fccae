//! Failures by path, in bounded memory. A hostile tree may have millions of them.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};

use rustix::io::Errno;

use linux::errno::name_of;

/// This many failures are recorded by path. After that, this many are recorded by directory.
const MAX_REMEMBERED: usize = 2048;

/// An explanation that replaces the name of an error. A later failure at the same path does not overwrite it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Explanation {
    pub(super) text: String,
    /// True if the entry was there before the job.
    pub(super) excused: bool,
}

/// The failures of a wipe.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// True if a failure was not recorded by its own path.
    pub(super) incomplete: bool,
    /// The names of errors by the keys of their paths.
    failures: HashMap<u64, String>,
    notes: HashMap<u64, Explanation>,
}

impl Failures {
    /// Records that `path` could not be removed.
    pub(super) fn record(&mut self, path: &[u8], errno: Errno) {
        let key = if self.failures.len() < MAX_REMEMBERED {
            key(path)
        } else {
            self.incomplete = true;
            key(parent(path))
        };
        if self.failures.len() < 2 * MAX_REMEMBERED {
            self.failures.entry(key).or_insert_with(|| name_of(errno));
        }
    }

    /// Adds the failures of a child, which replace earlier ones at the same paths. Only the keys of the paths are
    /// known.
    pub(super) fn merge(&mut self, failures: Vec<(u64, String)>, incomplete: bool) {
        self.incomplete |= incomplete;
        let known = &mut self.failures;
        for (key, cause) in failures {
            if known.len() < 2 * MAX_REMEMBERED || known.contains_key(&key) {
                known.insert(key, cause);
            }
        }
    }

    /// Records an explanation for `path`.
    pub(super) fn explain(&mut self, path: &[u8], note: Explanation) {
        if self.notes.len() < MAX_REMEMBERED {
            self.notes.insert(key(path), note);
        }
    }

    /// Returns the explanation or failure of `path`, or the failure of the nearest directory above it.
    pub(super) fn find(&self, path: &[u8]) -> Option<Explanation> {
        let keys = keys(path);
        let own = keys.last()?;
        if let Some(note) = self.notes.get(own) {
            return Some(note.clone());
        }
        // A directory that is not empty explains nothing about its contents.
        let above = || {
            let above = keys.iter().rev().skip(1);
            let mut above = above.filter_map(|key| self.failures.get(key));
            above.find(|cause| *cause != "ENOTEMPTY")
        };
        let text = self.failures.get(own).or_else(above)?.clone();
        Some(Explanation {
            text,
            excused: false,
        })
    }

    /// Returns all failures, for another process.
    pub(super) fn list(&self) -> Vec<(u64, String)> {
        let all = self.failures.iter();
        all.map(|(key, cause)| (*key, cause.clone())).collect()
    }
}

/// Returns the key of a path: 64 bits that are the same in every process of this program.
fn key(path: &[u8]) -> u64 {
    keys(path).pop().unwrap_or_default()
}

/// Returns the keys of all directories above a path, the outermost one first, and of the path itself.
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

/// Returns the directory that a path lies in.
fn parent(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|&byte| byte == b'/');
    &path[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(failures: &Failures, path: &str) -> Option<String> {
        failures.find(path.as_bytes()).map(|note| note.text)
    }

    #[test]
    fn record_falls_back_to_directories_at_the_limit() {
        let mut failures = Failures::default();
        for number in 0..4 * MAX_REMEMBERED {
            failures.record(format!("/a/{number}").as_bytes(), Errno::BUSY);
        }
        assert_eq!(cause(&failures, "/a/1").as_deref(), Some("EBUSY"));
        assert_eq!(failures.failures.len(), MAX_REMEMBERED + 1);
        // The failure of its directory stands for it.
        let last = format!("/a/{}", 4 * MAX_REMEMBERED - 1);
        assert_eq!(cause(&failures, &last).as_deref(), Some("EBUSY"));
        assert_eq!(cause(&failures, "/b/1"), None);
        assert!(failures.incomplete);
        for number in 0..4 * MAX_REMEMBERED {
            failures.record(format!("/{number}/x").as_bytes(), Errno::BUSY);
        }
        assert_eq!(failures.failures.len(), 2 * MAX_REMEMBERED);
    }

    #[test]
    fn find_falls_back_to_the_nearest_directory_above() {
        let mut failures = Failures::default();
        failures.record(b"/a/b", Errno::MFILE);
        assert_eq!(cause(&failures, "/a/b/c/d").as_deref(), Some("EMFILE"));
        assert_eq!(cause(&failures, "/a/bc"), None);
        failures.record(b"/e", Errno::NOTEMPTY);
        assert_eq!(cause(&failures, "/e").as_deref(), Some("ENOTEMPTY"));
        assert_eq!(cause(&failures, "/e/f"), None);
        assert!(!failures.incomplete);
    }

    #[test]
    fn merge_replaces_failures_and_keeps_explanations() {
        let mut failures = Failures::default();
        let note = Explanation {
            text: "EXDEV (with a reason)".to_owned(),
            excused: true,
        };
        failures.explain(b"/a", note.clone());
        failures.record(b"/b", Errno::ACCESS);
        let learnt = |path: &[u8], cause: &str| (key(path), cause.to_owned());
        failures.merge(vec![learnt(b"/a", "EXDEV"), learnt(b"/b", "EPERM")], false);
        assert_eq!(failures.find(b"/a"), Some(note));
        assert_eq!(cause(&failures, "/b").as_deref(), Some("EPERM"));
    }
}
