//! Very many files in one directory, and very many directories. `scripts/bench/wipe.sh` times them.

use std::fs::{self, File};

use crate::place::{BOTH, Place, Who};

#[test]
fn one_directory_of_half_a_million_files() {
    for (who, count) in [(Who::Root, 50_000), (Who::Runner, 500_000)] {
        let place = Place::in_memory(who);
        for number in 0..count {
            File::create(place.path(format!("workspace/{number}"))).unwrap();
        }
        let wiped = place.assert_wiped();
        assert_eq!(wiped.count("files"), count);
    }
}

#[test]
fn ten_thousand_directories_beside_each_other() {
    for who in BOTH {
        let place = Place::in_memory(who);
        for number in 0..10_000 {
            let directory = place.path(format!("workspace/{number}"));
            fs::create_dir(&directory).unwrap();
            File::create(directory.join("file")).unwrap();
        }
        place.own_all();
        let wiped = place.assert_wiped();
        assert_eq!(wiped.count("files"), 10_000);
        assert_eq!(wiped.count("directories"), 10_001);
    }
}
