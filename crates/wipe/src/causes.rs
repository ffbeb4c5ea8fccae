//! Why things stay: causes by path, of which a hostile tree may have millions, in bounded memory.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};

use rustix::io::Errno;

use linux::errno::name_of;

/// So many failures are remembered with their cause, and then as many directories of others.
const REMEMBERED: usize = 2048;

/// A cause in words of our own: whatever else fails there, it stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) text: String,
    /// What stays for this cause is none of the job's.
    pub(super) excused: bool,
}

/// What failed so far.
#[derive(Debug, Default)]
pub(super) struct Causes {
    /// A cause was not remembered.
    pub(super) forgot: bool,
    /// By the keys of their paths.
    causes: HashMap<u64, String>,
    notes: HashMap<u64, Note>,
}

impl Causes {
    /// Remembers why `path` could not be removed.
    pub(super) fn failed(&mut self, path: &[u8], errno: Errno) {
        let key = if self.causes.len() < REMEMBERED {
            key(path)
        } else {
            self.forgot = true;
            key(parent(path))
        };
        if self.causes.len() < 2 * REMEMBERED {
            self.causes.entry(key).or_insert_with(|| name_of(errno));
        }
    }

    /// Remembers what a child found out about paths of which only the keys are known: it came last.
    pub(super) fn learn(&mut self, causes: Vec<(u64, String)>, forgot: bool) {
        self.forgot |= forgot;
        let known = &mut self.causes;
        for (key, cause) in causes {
            if known.len() < 2 * REMEMBERED || known.contains_key(&key) {
                known.insert(key, cause);
            }
        }
    }

    /// Says why `path` stays, for good.
    pub(super) fn note(&mut self, path: &[u8], note: Note) {
        if self.notes.len() < REMEMBERED {
            self.notes.insert(key(path), note);
        }
    }

    /// Why `path` was left: its own note or cause, or that of the nearest directory above it.
    pub(super) fn of(&self, path: &[u8]) -> Option<Note> {
        let keys = keys(path);
        let own = keys.last()?;
        if let Some(note) = self.notes.get(own) {
            return Some(note.clone());
        }
        // That it is not empty explains nothing of what is in it.
        let above = || {
            let above = keys.iter().rev().skip(1);
            let mut above = above.filter_map(|key| self.causes.get(key));
            above.find(|cause| *cause != "ENOTEMPTY")
        };
        let text = self.causes.get(own).or_else(above)?.clone();
        Some(Note {
            text,
            excused: false,
        })
    }

    /// All that is remembered, for another process of ours.
    pub(super) fn list(&self) -> Vec<(u64, String)> {
        let all = self.causes.iter();
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

    fn cause(causes: &Causes, path: &str) -> Option<String> {
        causes.of(path.as_bytes()).map(|note| note.text)
    }

    #[test]
    fn failures_are_remembered_up_to_a_bound_and_then_by_directory() {
        let mut causes = Causes::default();
        for number in 0..4 * REMEMBERED {
            causes.failed(format!("/a/{number}").as_bytes(), Errno::BUSY);
        }
        assert_eq!(cause(&causes, "/a/1").as_deref(), Some("EBUSY"));
        assert_eq!(causes.causes.len(), REMEMBERED + 1);
        // Not its own any more, but true.
        let last = format!("/a/{}", 4 * REMEMBERED - 1);
        assert_eq!(cause(&causes, &last).as_deref(), Some("EBUSY"));
        assert_eq!(cause(&causes, "/b/1"), None);
        assert!(causes.forgot);
        for number in 0..4 * REMEMBERED {
            causes.failed(format!("/{number}/x").as_bytes(), Errno::BUSY);
        }
        assert_eq!(causes.causes.len(), 2 * REMEMBERED);
    }

    #[test]
    fn a_directory_that_failed_explains_what_is_in_it() {
        let mut causes = Causes::default();
        causes.failed(b"/a/b", Errno::MFILE);
        assert_eq!(cause(&causes, "/a/b/c/d").as_deref(), Some("EMFILE"));
        assert_eq!(cause(&causes, "/a/bc"), None);
        causes.failed(b"/e", Errno::NOTEMPTY);
        assert_eq!(cause(&causes, "/e").as_deref(), Some("ENOTEMPTY"));
        assert_eq!(cause(&causes, "/e/f"), None);
        assert!(!causes.forgot);
    }

    #[test]
    fn a_childs_causes_replace_ours_but_no_note() {
        let mut causes = Causes::default();
        let note = Note {
            text: "EXDEV (with a reason)".to_owned(),
            excused: true,
        };
        causes.note(b"/a", note.clone());
        causes.failed(b"/b", Errno::ACCESS);
        let learnt = |path: &[u8], cause: &str| (key(path), cause.to_owned());
        causes.learn(vec![learnt(b"/a", "EXDEV"), learnt(b"/b", "EPERM")], false);
        assert_eq!(causes.of(b"/a"), Some(note));
        assert_eq!(cause(&causes, "/b").as_deref(), Some("EPERM"));
    }
}
