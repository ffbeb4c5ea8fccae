//! Public repositories that were not written for this project: their Containerfiles are built on every storage driver.
#![allow(clippy::unwrap_used, missing_docs)]

use support::{Ended, Job, fixture};

#[test]
fn a_containerfile_with_everything_in_it() {
    assert_has_everything(&Job::of(&fixture("variety")).run());
}

#[test]
fn the_same_in_one_container() {
    assert_has_everything(&Job::of(&fixture("variety")).single().run());
}

fn assert_has_everything(ended: &Ended) {
    assert_eq!(ended.code(), Some(0), "{}", ended.log);
    ended.assert_nothing_is_left();
    let image = ended.image("variety");
    let said = image.run(&[]);
    let expected = [
        "from the first stage",
        "heredoc file with value from-the-workflow",
        "through mounts: one",
        "data is owned by 1234:5678",
        "hello from Debian: Hello, world!",
        "ignored files: 0",
        "I am 1234:5678",
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
    assert_eq!(image.config()["config"]["User"], "1234:5678");
}

#[test]
fn each_storage_driver_builds_the_same() {
    for driver in ["overlay", "fuse-overlayfs", "vfs"] {
        let setting = format!("SUPERVISOR_STORAGE__DRIVER={driver}");
        let ended = Job::of(&fixture("example"))
            .arguments(&["--builder-env", &setting])
            .run();
        assert_eq!(ended.code(), Some(0), "{driver}: {}", ended.log);
        assert_eq!(ended.builder_report()["storage_driver"], driver);
        let said = ended.image("example").run(&["reader"]);
        assert!(said.starts_with("Hello, reader!"), "{driver}: {said}");
        ended.assert_nothing_is_left();
    }
}
