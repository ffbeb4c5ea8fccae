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

#[test]
fn of_thousands_each_is_named_with_its_true_cause() {
    let place = Place::in_memory(Who::Runner);
    let theirs = place.workspace().join("theirs");
    fs::create_dir(&theirs).unwrap();
    for number in 0..20_000 {
        File::create(theirs.join(format!("{number}"))).unwrap();
    }
    let wiped = place.wipe(&["--keep-root"]);
    assert_eq!(wiped.count("leftover_count"), 20_001);
    let leftovers = wiped.leftovers();
    assert!(
        leftovers.iter().all(|line| line.ends_with(": EACCES")),
        "{leftovers:?}"
    );
}

#[test]
fn what_no_descriptor_was_left_for_is_named_so() {
    let place = Place::new(Who::Runner);
    // Not to be moved up, for the directories above belong to another.
    fs::create_dir_all(place.path("workspace/a/b/c/d/e/f/g/h/i/j")).unwrap();
    let mut command = place.command(&["--json", "--keep-root"]);
    linux::pre_exec::limit_open_files(&mut command, 7);
    command.arg(place.workspace());
    let wiped = crate::place::run(command);
    assert_eq!(wiped.code, Some(75), "{wiped:?}");
    let leftovers = wiped.leftovers().join(" ");
    assert!(
        leftovers.contains("EMFILE") && !leftovers.contains("EAGAIN"),
        "{leftovers}"
    );
}

#[test]
fn a_dry_run_says_what_it_could_not_look_into() {
    let place = Place::new(Who::Runner);
    place.job(": >mine");
    let closed = place.workspace().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let seen = place.wipe(&["--dry-run"]);
    seen.assert_left(&closed, "EACCES");
    assert_eq!(seen.count("files"), 1);
    assert!(
        seen.stderr.contains("could not be read: "),
        "{}",
        seen.stderr
    );
    assert!(place.workspace().join("mine").exists());
    let late = place.wipe(&["--dry-run", "--budget", "0s"]);
    // Within half a second it is seen all the same, or it is said that it was not.
    assert_eq!(late.code, Some(75), "{late:?}");
}

#[test]
fn a_directory_that_may_be_listed_and_not_entered_hides_nothing_else() {
    let place = Place::new(Who::Runner);
    place.job("mkdir a b c; for d in a b c; do : >$d/1; : >$d/2; chmod 400 $d; done");
    let seen = place.wipe(&["--dry-run"]);
    seen.assert_complete();
    assert_eq!((seen.count("files"), seen.count("directories")), (6, 3));
    place.assert_wiped();
}
