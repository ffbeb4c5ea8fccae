//! The leftovers: the verification counts and names them, and they decide the exit code.

use std::fs::{self, File};

use crate::fixture::{Fixture, USERS, User};

#[test]
fn wipe_names_twenty_leftovers_and_counts_all() {
    let fixture = Fixture::new(User::Runner);
    // It belongs to another user, so the runner cannot remove its entries.
    let theirs = fixture.workspace().join("theirs");
    fs::create_dir(&theirs).unwrap();
    for number in 0..50 {
        File::create(theirs.join(format!("{number:02}"))).unwrap();
    }
    fixture.run_script(": >mine; mkdir -p own/below");
    let wiped = fixture.wipe(&["--keep-root"]);
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
    // The other entries are gone.
    assert_eq!(fs::read_dir(fixture.workspace()).unwrap().count(), 1);
    assert_eq!((wiped.count("files"), wiped.count("directories")), (1, 2));
}

#[test]
fn wipe_names_a_directory_that_it_cannot_list() {
    let fixture = Fixture::new(User::Runner);
    let closed = fixture.workspace().join("closed");
    fs::create_dir(&closed).unwrap();
    File::create(closed.join("file")).unwrap();
    fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    fixture.wipe(&[]).assert_leftover(&closed, "EPERM");
}

#[test]
fn wipe_of_a_missing_workspace_succeeds() {
    for user in USERS {
        let fixture = Fixture::new(user);
        fixture.wipe_completely();
        let again = fixture.wipe(&[]);
        again.assert_complete();
        assert_eq!(again.count("directories"), 0);
    }
}

#[test]
fn wipe_names_the_cause_of_each_of_many_leftovers() {
    let fixture = Fixture::in_memory(User::Runner);
    let theirs = fixture.workspace().join("theirs");
    fs::create_dir(&theirs).unwrap();
    for number in 0..20_000 {
        File::create(theirs.join(format!("{number}"))).unwrap();
    }
    let wiped = fixture.wipe(&["--keep-root"]);
    assert_eq!(wiped.count("leftover_count"), 20_001);
    let leftovers = wiped.leftovers();
    assert!(
        leftovers.iter().all(|line| line.ends_with(": EACCES")),
        "{leftovers:?}"
    );
}

#[test]
fn wipe_names_emfile_if_descriptors_run_out() {
    let fixture = Fixture::new(User::Runner);
    // They cannot be moved up, because the directories above belong to another user.
    fs::create_dir_all(fixture.path("workspace/a/b/c/d/e/f/g/h/i/j")).unwrap();
    let mut command = fixture.command(&["--json", "--keep-root"]);
    linux::pre_exec::limit_open_files(&mut command, 7);
    command.arg(fixture.workspace());
    let wiped = crate::process::run(command);
    assert_eq!(wiped.code, Some(75), "{wiped:?}");
    let leftovers = wiped.leftovers().join(" ");
    assert!(
        leftovers.contains("EMFILE") && !leftovers.contains("EAGAIN"),
        "{leftovers}"
    );
}

#[test]
fn dry_run_names_what_it_cannot_list() {
    let fixture = Fixture::new(User::Runner);
    fixture.run_script(": >mine");
    let closed = fixture.workspace().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let seen = fixture.wipe(&["--dry-run"]);
    seen.assert_leftover(&closed, "EACCES");
    assert_eq!(seen.count("files"), 1);
    assert!(
        seen.stderr.contains("could not be read: "),
        "{}",
        seen.stderr
    );
    assert!(fixture.workspace().join("mine").exists());
    let late = fixture.wipe(&["--dry-run", "--budget", "0s"]);
    // It is counted within half a second, or the root is named with ETIMEDOUT.
    assert_eq!(late.code, Some(75), "{late:?}");
}

#[test]
fn dry_run_counts_entries_of_a_directory_without_search() {
    let fixture = Fixture::new(User::Runner);
    fixture.run_script("mkdir a b c; for d in a b c; do : >$d/1; : >$d/2; chmod 400 $d; done");
    let seen = fixture.wipe(&["--dry-run"]);
    seen.assert_complete();
    assert_eq!((seen.count("files"), seen.count("directories")), (6, 3));
    fixture.wipe_completely();
}
