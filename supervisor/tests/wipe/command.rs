//! `supervisor wipe` on the command line.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::fixture::{Fixture, USERS, User, contents};
use crate::process::run;

fn fill(fixture: &Fixture) {
    fixture.run_script("mkdir -p a/b c; echo content >a/file; ln a/file a/b/link; ln -s ../canary c/link; truncate -s 1M c/sparse");
}

#[test]
fn dry_run_counts_and_changes_nothing() {
    for user in USERS {
        let fixture = Fixture::new(user);
        fill(&fixture);
        let before = contents(&fixture.workspace());
        let preview = fixture.wipe(&["--dry-run"]);
        preview.assert_complete();
        assert_eq!(contents(&fixture.workspace()), before);
        assert_eq!(
            (preview.count("files"), preview.count("directories")),
            (4, 3)
        );
        assert_eq!(preview.json()["dry_run"], true);
        let wiped = fixture.wipe_completely();
        assert_eq!((wiped.count("files"), wiped.count("directories")), (4, 4));
        assert_eq!(wiped.json()["dry_run"], false);
    }
}

#[test]
fn keep_root_keeps_inode_mode_and_owner() {
    for user in USERS {
        let fixture = Fixture::new(user);
        fill(&fixture);
        let identity = |data: fs::Metadata| (data.ino(), data.mode(), data.uid());
        let before = identity(fs::metadata(fixture.workspace()).unwrap());
        fixture.wipe(&["--keep-root"]).assert_complete();
        fixture.assert_empty();
        assert_eq!(identity(fs::metadata(fixture.workspace()).unwrap()), before);
    }
}

#[test]
fn wipe_takes_nested_paths_in_any_order() {
    for names in [["a", "a/b", "c"], ["a/b", "c", "a"]] {
        let fixture = Fixture::new(User::Runner);
        fill(&fixture);
        let mut command = fixture.command(&["--json"]);
        command.args(names.map(|name| fixture.workspace().join(name)));
        run(command).assert_complete();
        fixture.assert_empty();
    }
}

#[test]
fn output_is_a_sentence_or_one_line_of_json() {
    let fixture = Fixture::new(User::Runner);
    fill(&fixture);
    let mut command = fixture.command(&["--dry-run"]);
    command.arg(fixture.workspace());
    let output = run(command).stdout;
    assert!(
        output.starts_with("would remove 4 files and 3 directories, "),
        "{output}"
    );
    let wiped = fixture.wipe(&[]);
    assert_eq!(wiped.stdout.lines().count(), 1);
    for field in [
        "files",
        "directories",
        "bytes",
        "leftover_count",
        "leftovers",
        "dry_run",
        "ms",
    ] {
        assert!(wiped.json().get(field).is_some(), "{field}");
    }
    assert_eq!(wiped.stderr, "");
}
