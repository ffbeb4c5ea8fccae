//! Names that are not UTF-8, contain newlines, or look like options.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use crate::fixture::{Fixture, USERS, User};

/// Returns every byte that a name may contain, and names that look like options, parents or control sequences.
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
fn wipe_removes_entries_of_any_name() {
    for user in USERS {
        let fixture = Fixture::new(user);
        for name in names() {
            let directory = fixture.workspace().join(OsStr::from_bytes(&name));
            fs::create_dir(&directory).unwrap();
            fs::write(directory.join(OsStr::from_bytes(&name)), "x").unwrap();
        }
        fixture.chown_workspace();
        let wiped = fixture.wipe_completely();
        assert_eq!(wiped.count("files"), names().len() as u64);
        assert_eq!(wiped.count("directories"), names().len() as u64 + 1);
    }
}

#[test]
fn leftovers_are_named_in_one_printable_line_each() {
    let fixture = Fixture::new(User::Runner);
    // It does not belong to the runner, so it stays.
    let closed = fixture.workspace().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::write(closed.join(OsStr::from_bytes(b"a\nb\x1b[2J\xff")), "x").unwrap();
    let wiped = fixture.wipe(&[]);
    wiped.assert_leftover(&closed.join("a\\nb\\u{1b}[2J\\xff"), "EACCES");
    for line in wiped.stderr.lines() {
        assert!(
            line.starts_with("supervisor: ") && !line.contains('\x1b'),
            "{line:?}"
        );
    }
}
