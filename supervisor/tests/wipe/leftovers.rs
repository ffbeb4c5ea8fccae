//! Honesty: a second look names what is left, counts it, and decides over the exit code.

use std::fs::{self, File};

use crate::place::{BOTH, Place, Who};

#[test]
fn the_first_twenty_are_named_with_their_errno_and_all_are_counted() {
    let place = Place::new(Who::Runner);
    // Of another user, so that the runner cannot remove what is in it.
    let theirs = place.workspace().join("theirs");
    fs::create_dir(&theirs).unwrap();
    for number in 0..50 {
        File::create(theirs.join(format!("{number:02}"))).unwrap();
    }
    place.job(": >mine; mkdir -p own/below");
    let wiped = place.wipe(&["--keep-root"]);
    assert_eq!(wiped.code, Some(75));
    assert_eq!(wiped.count("leftover_count"), 51);
    let leftovers = wiped.leftovers();
    assert_eq!(leftovers.len(), 20);
    let begin = format!("{}/", theirs.display());
    for line in &leftovers {
        assert!(
            line.starts_with(&begin) && line.ends_with(": EACCES"),
            "{line}"
        );
        assert!(wiped.stderr.contains(&format!("left behind: {line}\n")));
    }
    assert!(
        wiped.stderr.contains("left behind: 31 more\n"),
        "{}",
        wiped.stderr
    );
    // What could be removed is gone.
    assert_eq!(fs::read_dir(place.workspace()).unwrap().count(), 1);
    assert_eq!((wiped.count("files"), wiped.count("directories")), (1, 2));
}

#[test]
fn a_directory_that_cannot_even_be_looked_into_is_named() {
    let place = Place::new(Who::Runner);
    let closed = place.workspace().join("closed");
    fs::create_dir(&closed).unwrap();
    File::create(closed.join("file")).unwrap();
    fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    place.wipe(&[]).assert_left(&closed, "EPERM");
}

#[test]
fn a_workspace_that_is_gone_already_is_no_error() {
    for who in BOTH {
        let place = Place::new(who);
        place.assert_wiped();
        let again = place.wipe(&[]);
        again.assert_complete();
        assert_eq!(again.count("directories"), 0);
    }
}
