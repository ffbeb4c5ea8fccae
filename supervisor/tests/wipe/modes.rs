//! Directories that are closed to their owner.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::fixture::{Fixture, USERS};

#[test]
fn wipe_removes_directories_of_any_mode_at_any_depth() {
    for user in USERS {
        for mode in [0o000, 0o100, 0o200, 0o300, 0o400, 0o500, 0o1000, 0o6000] {
            let fixture = Fixture::new(user);
            fixture.run_script("mkdir -p a/b/c/d e; : >a/file; : >a/b/c/file; : >e/file");
            for name in ["a/b/c/d", "a/b/c", "a/b", "a", "e", "."] {
                let path = fixture.workspace().join(name);
                fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
            }
            let wiped = fixture.wipe_completely();
            assert_eq!(wiped.count("files"), 3, "{mode:o}");
        }
    }
}

#[test]
fn keep_root_leaves_a_writable_directory() {
    for user in USERS {
        let fixture = Fixture::new(user);
        fixture.run_script("mkdir -p a; chmod 0 a .");
        fixture.wipe(&["--keep-root"]).assert_complete();
        fixture.run_script("mkdir again");
        fixture.wipe_completely();
    }
}
