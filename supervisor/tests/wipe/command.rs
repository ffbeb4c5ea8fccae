//! `supervisor wipe` by hand.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::place::{BOTH, Place, Who, contents, run};

fn fill(place: &Place) {
    place.job("mkdir -p a/b c; echo content >a/file; ln a/file a/b/link; ln -s ../canary c/link; truncate -s 1M c/sparse");
}

#[test]
fn a_dry_run_counts_what_there_is_and_changes_nothing() {
    for who in BOTH {
        let place = Place::new(who);
        fill(&place);
        let before = contents(&place.workspace());
        let preview = place.wipe(&["--dry-run"]);
        preview.assert_complete();
        assert_eq!(contents(&place.workspace()), before);
        assert_eq!(
            (preview.count("files"), preview.count("directories")),
            (4, 3)
        );
        assert_eq!(preview.json()["dry_run"], true);
        let wiped = place.assert_wiped();
        assert_eq!((wiped.count("files"), wiped.count("directories")), (4, 4));
        assert_eq!(wiped.json()["dry_run"], false);
    }
}

#[test]
fn with_keep_root_the_directory_stays_the_same_one() {
    for who in BOTH {
        let place = Place::new(who);
        fill(&place);
        let identity = |data: fs::Metadata| (data.ino(), data.mode(), data.uid());
        let before = identity(fs::metadata(place.workspace()).unwrap());
        place.wipe(&["--keep-root"]).assert_complete();
        place.assert_empty();
        assert_eq!(identity(fs::metadata(place.workspace()).unwrap()), before);
    }
}

#[test]
fn several_paths_even_in_each_other_and_in_any_order_are_wiped() {
    for names in [["a", "a/b", "c"], ["a/b", "c", "a"]] {
        let place = Place::new(Who::Runner);
        fill(&place);
        let mut command = place.command(&["--json"]);
        command.args(names.map(|name| place.workspace().join(name)));
        run(command).assert_complete();
        place.assert_empty();
    }
}

#[test]
fn people_get_a_sentence_and_machines_one_line() {
    let place = Place::new(Who::Runner);
    fill(&place);
    let mut command = place.command(&["--dry-run"]);
    command.arg(place.workspace());
    let said = run(command).stdout;
    assert!(
        said.starts_with("would remove 4 files and 3 directories, "),
        "{said}"
    );
    let wiped = place.wipe(&[]);
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
