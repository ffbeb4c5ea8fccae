//! Removes trees deeper than the number of descriptors: moves directories up and empties them there.
//!
//! So neither descriptors nor memory grow with the depth. Source: rename(2).

use std::ffi::CStr;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustix::fs::renameat;

use super::directory::Directory;
use super::openat::Opener;

/// The beginning of the names of moved directories.
const PREFIX: &str = ".wipe-moved-";

/// Names that no other process can predict and occupy.
#[derive(Debug, Default)]
pub(super) struct UniqueNames {
    secret: RandomState,
    next: AtomicU64,
}

impl UniqueNames {
    fn next(&self) -> String {
        let number = self.next.fetch_add(1, Relaxed);
        format!("{PREFIX}{:016x}", self.secret.hash_one(number))
    }
}

/// Moves the directory `name` of `parent` as far up as the kernel allows. The directory that takes it is listed again.
pub(super) fn move_up(
    opener: Opener,
    names: &UniqueNames,
    parent: &Arc<Directory>,
    name: &CStr,
) -> bool {
    let mut ancestry = parent.ancestry();
    ancestry.pop();
    let mut unlocked = false;
    ancestry.iter().any(|above| {
        let rename = || renameat(parent, name, above, names.next());
        let moved = rename().or_else(|errno| {
            if unlocked {
                return Err(errno);
            }
            unlocked = true;
            parent.unlock();
            opener.unlock(parent, name)?;
            rename()
        });
        if moved.is_ok() {
            above.note_moved_in();
        }
        moved.is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::Position;
    use crate::openat;
    use std::path::Path;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn move_up_moves_to_the_outermost_writable_directory() {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(place.path().join("a/b/c")).unwrap();
        let open = Arc::new(AtomicUsize::new(0));
        let opener = Opener::find();
        let top = |path: &Path| {
            let fd = openat::open_root(opener, path).unwrap();
            Directory::new(fd, Position::Root(path.to_owned()), &open)
        };
        let root = top(place.path());
        let a = Position::Below {
            parent: Arc::clone(&root),
            name: c"a".into(),
            keep: false,
        };
        let a = Directory::new(opener.child(&root, c"a").unwrap(), a, &open);
        let names = UniqueNames::default();
        assert!(move_up(opener, &names, &a, c"b"));
        assert!(!place.path().join("a/b").exists());
        let moved = std::fs::read_dir(place.path()).unwrap().flatten();
        let moved: Vec<_> = moved.map(|entry| entry.path()).collect();
        assert!(
            moved.iter().any(|path| path.join("c").is_dir()),
            "{moved:?}"
        );
        assert!(root.may_retry_for_moved() && !root.may_retry_for_moved());
        // There is no directory above the root.
        assert!(!move_up(opener, &names, &root, c"a"));
    }
}
