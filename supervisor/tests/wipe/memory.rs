//! Memory stays bounded whatever the tree's shape.

use std::fs::{self, File};

use crate::deep::dig;
use crate::place::{Place, Who};

/// What the issue allows.
pub(crate) const LIMIT: u64 = 16 << 20;

fn assert_small(place: &Place, shape: &str) {
    let wiped = place.assert_wiped();
    println!("{shape}: {} KiB", wiped.peak_memory / 1024);
    assert!(wiped.peak_memory < LIMIT, "{shape}: {}", wiped.peak_memory);
}

fn long(number: usize) -> String {
    format!("{number:0>255}")
}

#[test]
fn long_names_in_many_wide_directories() {
    let place = Place::in_memory(Who::Root);
    for directory in 0..40 {
        let directory = place.workspace().join(long(directory));
        fs::create_dir(&directory).unwrap();
        for file in 0..1500 {
            File::create(directory.join(long(file))).unwrap();
        }
    }
    assert_small(&place, "wide");
}

#[test]
fn long_names_in_a_bush_of_directories() {
    let place = Place::in_memory(Who::Root);
    for first in 0..120 {
        for second in 0..120 {
            let path = place.workspace().join(long(first)).join(long(second));
            fs::create_dir_all(path).unwrap();
        }
    }
    assert_small(&place, "bush");
}

/// Where inodes lie on a disk, one thread reads ahead.
#[test]
fn long_names_in_one_directory_on_a_disk() {
    let place = Place::new(Who::Root);
    for file in 0..100_000 {
        File::create(place.workspace().join(long(file))).unwrap();
    }
    // The program with all that a debugger wants takes several times the three MiB of a released one.
    let itself = Place::new(Who::Root).assert_wiped().peak_memory;
    let more = place.assert_wiped().peak_memory - itself;
    println!("disk: {} KiB", more / 1024);
    assert!(more < LIMIT - (3 << 20), "{more}");
}

#[test]
fn very_deep() {
    let place = Place::in_memory(Who::Root);
    dig(&place, 20_000);
    assert_small(&place, "deep");
}

#[test]
fn thousands_of_failures_with_paths_of_any_length() {
    let place = Place::in_memory(Who::Runner);
    let mut here = place.workspace();
    for level in 0..14 {
        here.push(long(level));
    }
    fs::create_dir_all(&here).unwrap();
    place.own_all();
    let theirs = here.join("theirs");
    fs::create_dir(&theirs).unwrap();
    for number in 0..3000 {
        File::create(theirs.join(format!("\u{1b}{number:0>200}"))).unwrap();
    }
    let wiped = place.wipe(&[]);
    assert_eq!(wiped.code, Some(75));
    assert_eq!(wiped.count("leftover_count"), 3000 + 16);
    println!("failures: {} KiB", wiped.peak_memory / 1024);
    assert!(wiped.peak_memory < LIMIT, "{}", wiped.peak_memory);
}
