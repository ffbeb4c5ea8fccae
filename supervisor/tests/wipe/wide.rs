//! Half a million files in one directory, and ten thousand directories. `scripts/bench/wipe.sh` measures their time.

use std::fs::{self, File};

use crate::fixture::{Fixture, USERS, User};

#[test]
fn wipe_removes_half_a_million_files_in_one_directory() {
    for (user, count) in [(User::Root, 50_000), (User::Runner, 500_000)] {
        let fixture = Fixture::in_memory(user);
        for number in 0..count {
            File::create(fixture.path(format!("workspace/{number}"))).unwrap();
        }
        let wiped = fixture.wipe_completely();
        assert_eq!(wiped.count("files"), count);
    }
}

#[test]
fn wipe_removes_ten_thousand_directories_in_one() {
    for user in USERS {
        let fixture = Fixture::in_memory(user);
        for number in 0..10_000 {
            let directory = fixture.path(format!("workspace/{number}"));
            fs::create_dir(&directory).unwrap();
            File::create(directory.join("file")).unwrap();
        }
        fixture.chown_workspace();
        let wiped = fixture.wipe_completely();
        assert_eq!(wiped.count("files"), 10_000);
        assert_eq!(wiped.count("directories"), 10_001);
    }
}
