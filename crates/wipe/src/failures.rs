//! Why things stay: failures by path, of which a hostile tree may have millions, in bounded memory.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};

use rustix::io::Errno;

use linux::errno::name_of;

/// So many failures are remembered with their cause, and then as many directories of others.
const MAX_REMEMBERED: usize = 2048;

/// A cause in words of our own: whatever else fails there, it stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Explanation {
    pub(super) text: String,
    /// What stays for this cause is none of the job's.
    pub(super) excused: bool,
}

/// What failed so far.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// A cause was not remembered.
    pub(super) incomplete: bool,
    /// By the keys of their paths.
    failures: HashMap<u64, String>,
    notes: HashMap<u64, Explanation>,
}

impl Failures {
    /// Remembers why `path` could not be removed.
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

    /// Remembers what a child found out about paths of which only the keys are known: it came last.
    pub(super) fn merge(&mut self, failures: Vec<(u64, String)>, incomplete: bool) {
        self.incomplete |= incomplete;
        let known = &mut self.failures;
        for (key, cause) in failures {
            if known.len() < 2 * MAX_REMEMBERED || known.contains_key(&key) {
                known.insert(key, cause);
            }
        }
    }

    /// Says why `path` stays, for good.
    pub(super) fn explain(&mut self, path: &[u8], note: Explanation) {
        if self.notes.len() < MAX_REMEMBERED {
            self.notes.insert(key(path), note);
        }
    }

    /// Why `path` was left: its own note or cause, or that of the nearest directory above it.
    pub(super) fn find(&self, path: &[u8]) -> Option<Explanation> {
        let keys = keys(path);
        let own = keys.last()?;
        if let Some(note) = self.notes.get(own) {
            return Some(note.clone());
        }
        // That it is not empty explains nothing of what is in it.
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

    /// All that is remembered, for another process of ours.
    pub(super) fn list(&self) -> Vec<(u64, String)> {
        let all = self.failures.iter();
        all.map(|(key, cause)| (*key, cause.clone())).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(failures: &Failures, path: &str) -> Option<String> {
        failures.find(path.as_bytes()).map(|note| note.text)
    }

    #[test]
    fn failures_are_remembered_up_to_a_bound_and_then_by_directory() {
        let mut failures = Failures::default();
        for number in 0..4 * MAX_REMEMBERED {
            failures.record(format!("/a/{number}").as_bytes(), Errno::BUSY);
        }
        assert_eq!(cause(&failures, "/a/1").as_deref(), Some("EBUSY"));
        assert_eq!(failures.failures.len(), MAX_REMEMBERED + 1);
        // Not its own any more, but true.
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
    fn a_directory_that_failed_explains_what_is_in_it() {
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
    fn a_childs_causes_replace_ours_but_no_note() {
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
