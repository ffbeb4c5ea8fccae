//! Trees deeper than descriptors last: cut into pieces, which are moved up and emptied there.
//!
//! So neither descriptors nor memory grow with depth. Source: rename(2).

use std::ffi::CStr;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustix::fs::renameat;

use super::directory::Directory;
use super::openat::Opener;

/// What the names of such pieces begin with.
const PREFIX: &str = ".wipe-moved-";

/// UniqueNames that nobody can foresee and occupy.
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

/// Moves `name` of `parent` as far up as it may go; the directory that it is in then is listed again.
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
    fn a_directory_goes_up_to_the_outermost_that_takes_it() {
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
        // From the root itself there is nowhere to go.
        assert!(!move_up(opener, &names, &root, c"a"));
    }
}
