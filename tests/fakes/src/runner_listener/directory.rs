//! The directory in the role of GitHub.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

pub(super) fn github(name: &str) -> PathBuf {
    PathBuf::from(std::env::var("FAKE_GITHUB").expect("FAKE_GITHUB")).join(name)
}

pub(super) fn note(text: &str) {
    let mut options = fs::OpenOptions::new();
    let mut log = options
        .append(true)
        .create(true)
        .open(github("log"))
        .unwrap();
    writeln!(log, "{text}").unwrap();
}

pub(super) fn says(name: &str) -> String {
    fs::read_to_string(github(name)).unwrap_or_default()
}
