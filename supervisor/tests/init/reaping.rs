//! Every orphan is reaped, at any rate, and the runner's own status is not lost among them.

use std::path::Path;
use std::process::Command;

use test_support::Fixture;
use test_support::procfs::{children, status_field};

use crate::SUPERVISOR;

/// `cargo test` of the whole workspace builds it beside the tests; of this package alone it does not.
fn orphans() -> String {
    let directory = Path::new(SUPERVISOR).parent().unwrap();
    let built = directory.join("examples/orphans");
    if !built.exists() {
        let mut build = Command::new("cargo");
        build.args(["build", "--quiet", "--package", "linux"]);
        build.args(["--example", "orphans"]);
        // With --target, the profile's directory lies in one that is named after it.
        let above = directory.parent().unwrap();
        let triple = above.file_name().unwrap().to_str().unwrap();
        if triple.contains("-linux-") {
            build.args(["--target", triple]);
        }
        assert!(build.status().unwrap().success());
    }
    built.to_string_lossy().into_owned()
}

#[test]
fn fifty_thousand_double_forked_orphans_leave_no_zombie() {
    // Read through a descriptor: the build directory may be closed to uid 1000.
    let fixture = Fixture::new(SUPERVISOR).stdin(std::fs::File::open(orphans()).unwrap().into());
    let running = fixture.start(&[
        "bash",
        "-c",
        "/proc/self/fd/0 50000; touch done; until [ -e go ]; do sleep 0.05; done; exit 7",
    ]);
    running.wait_for_file("done");
    let supervisor = running.supervisor();
    test_support::eventually("all orphans", || {
        let zombies = children(supervisor).into_iter().filter(|child| {
            status_field(*child, "State").is_some_and(|state| state.starts_with('Z'))
        });
        (zombies.count() == 0).then_some(())
    });
    std::fs::write(running.fixture.path("workspace/work/go"), "").unwrap();
    let ended = running.wait();
    assert_eq!(ended.code(), 7, "{}", ended.stderr);
    assert_eq!(ended.report()["runner"]["reaped_orphans"], 50_000);
}

#[test]
fn the_runners_status_is_not_lost_when_it_ends_in_the_crowd() {
    for code in 1..6 {
        let script = format!("for i in $(seq 50); do (true &) & done; exit {code}");
        let ended = Fixture::new(SUPERVISOR).shell(&script);
        assert_eq!(ended.code(), code, "{}", ended.stderr);
    }
}

#[test]
fn an_inherited_sigchld_that_is_ignored_loses_no_status() {
    let ended = Fixture::new(SUPERVISOR)
        .prelude("trap '' CHLD")
        .shell("exit 9");
    assert_eq!(ended.code(), 9, "{}", ended.stderr);
}
