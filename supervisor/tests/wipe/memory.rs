//! The memory of a wipe is bounded for a tree of any shape.

use std::fs::{self, File};

use crate::deep::make_chain;
use crate::fixture::{Fixture, User};

/// The most bytes that a wipe may use.
pub(crate) const LIMIT: u64 = 16 << 20;

fn assert_small(fixture: &Fixture, shape: &str) {
    let wiped = fixture.wipe_completely();
    println!("{shape}: {} KiB", wiped.peak_memory / 1024);
    assert!(wiped.peak_memory < LIMIT, "{shape}: {}", wiped.peak_memory);
}

fn long(number: usize) -> String {
    format!("{number:0>255}")
}

#[test]
fn memory_is_bounded_with_many_wide_directories() {
    let fixture = Fixture::in_memory(User::Root);
    for directory in 0..40 {
        let directory = fixture.workspace().join(long(directory));
        fs::create_dir(&directory).unwrap();
        for file in 0..1500 {
            File::create(directory.join(long(file))).unwrap();
        }
    }
    assert_small(&fixture, "wide");
}

#[test]
fn memory_is_bounded_with_a_bush_of_directories() {
    let fixture = Fixture::in_memory(User::Root);
    for first in 0..120 {
        for second in 0..120 {
            let path = fixture.workspace().join(long(first)).join(long(second));
            fs::create_dir_all(path).unwrap();
        }
    }
    assert_small(&fixture, "bush");
}

/// On a disk one thread reads ahead.
#[test]
fn memory_is_bounded_with_one_wide_directory_on_disk() {
    let fixture = Fixture::new(User::Root);
    for file in 0..100_000 {
        File::create(fixture.workspace().join(long(file))).unwrap();
    }
    // A debug build takes several times the three MiB of a release build.
    let itself = Fixture::new(User::Root).wipe_completely().peak_memory;
    let more = fixture.wipe_completely().peak_memory - itself;
    println!("disk: {} KiB", more / 1024);
    assert!(more < LIMIT - (3 << 20), "{more}");
}

#[test]
fn memory_is_bounded_with_a_deep_tree() {
    let fixture = Fixture::in_memory(User::Root);
    make_chain(&fixture, 20_000);
    assert_small(&fixture, "deep");
}

#[test]
fn memory_is_bounded_with_thousands_of_failures() {
    let fixture = Fixture::in_memory(User::Runner);
    let mut here = fixture.workspace();
    for level in 0..14 {
        here.push(long(level));
    }
    fs::create_dir_all(&here).unwrap();
    fixture.chown_workspace();
    let theirs = here.join("theirs");
    fs::create_dir(&theirs).unwrap();
    for number in 0..3000 {
        File::create(theirs.join(format!("\u{1b}{number:0>200}"))).unwrap();
    }
    let wiped = fixture.wipe(&[]);
    assert_eq!(wiped.code, Some(75));
    assert_eq!(wiped.count("leftover_count"), 3000 + 16);
    println!("failures: {} KiB", wiped.peak_memory / 1024);
    assert!(wiped.peak_memory < LIMIT, "{}", wiped.peak_memory);
}
