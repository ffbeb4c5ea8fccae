//! Directories that their owner has closed to himself.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::place::{BOTH, Place};

#[test]
fn directories_of_any_mode_are_opened_up_at_any_depth() {
    for who in BOTH {
        for mode in [0o000, 0o100, 0o200, 0o300, 0o400, 0o500, 0o1000, 0o6000] {
            let place = Place::new(who);
            place.job("mkdir -p a/b/c/d e; : >a/file; : >a/b/c/file; : >e/file");
            for name in ["a/b/c/d", "a/b/c", "a/b", "a", "e", "."] {
                let path = place.workspace().join(name);
                fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
            }
            let wiped = place.assert_wiped();
            assert_eq!(wiped.count("files"), 3, "{mode:o}");
        }
    }
}

#[test]
fn what_stays_itself_is_usable_afterwards() {
    for who in BOTH {
        let place = Place::new(who);
        place.job("mkdir -p a; chmod 0 a .");
        place.wipe(&["--keep-root"]).assert_complete();
        place.job("mkdir again");
        place.assert_wiped();
    }
}
