//! Names that are not UTF-8, hold newlines, or look like something else.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use crate::place::{BOTH, Place, Who};

/// Every byte that a name may hold, and some that look like options, parents, or a terminal's commands.
fn names() -> Vec<Vec<u8>> {
    let single = (1..=u8::MAX).filter(|byte| !b"./".contains(byte));
    let mut names: Vec<Vec<u8>> = single.map(|byte| vec![byte]).collect();
    let odd: [&[u8]; 11] = [
        b"new\nline",
        b"\xff\xfe\xfd",
        b"-rf",
        b"--",
        b"...",
        b".. ",
        b"\\\"'$(x)`",
        b"\x1b[2J\x07",
        "\u{202e}txt.exe".as_bytes(),
        b"*?[]",
        &[b'n'; 255],
    ];
    names.extend(odd.map(<[u8]>::to_vec));
    names
}

#[test]
fn any_name_of_a_file_or_directory_is_removed() {
    for who in BOTH {
        let place = Place::new(who);
        for name in names() {
            let directory = place.workspace().join(OsStr::from_bytes(&name));
            fs::create_dir(&directory).unwrap();
            fs::write(directory.join(OsStr::from_bytes(&name)), "x").unwrap();
        }
        place.own_all();
        let wiped = place.assert_wiped();
        assert_eq!(wiped.count("files"), names().len() as u64);
        assert_eq!(wiped.count("directories"), names().len() as u64 + 1);
    }
}

#[test]
fn what_is_left_is_named_in_one_printable_line_each() {
    let place = Place::new(Who::Runner);
    // Not the runner's, so it stays.
    let closed = place.workspace().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::write(closed.join(OsStr::from_bytes(b"a\nb\x1b[2J\xff")), "x").unwrap();
    let wiped = place.wipe(&[]);
    wiped.assert_left(&closed.join("a\\nb\\u{1b}[2J\\xff"), "EACCES");
    for line in wiped.stderr.lines() {
        assert!(
            line.starts_with("supervisor: ") && !line.contains('\x1b'),
            "{line:?}"
        );
    }
}
