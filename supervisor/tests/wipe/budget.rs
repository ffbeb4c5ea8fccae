//! The budget ends a wipe and names what is left. A long wipe logs its progress.

use std::fs::File;
use std::time::Duration;

use crate::fixture::{Fixture, USERS, User};
use crate::process::{OpenBlocker, finish, start};

fn fill(fixture: &Fixture, count: usize) {
    for number in 0..count {
        File::create(fixture.path(format!("workspace/{number}"))).unwrap();
    }
}

#[test]
fn budget_end_leaves_and_names_the_rest() {
    for user in USERS {
        let fixture = Fixture::in_memory(user);
        fill(&fixture, 20_000);
        let wiped = fixture.wipe(&["--budget", "1ms"]);
        assert_eq!(wiped.code, Some(75));
        // The verification has a time limit too, so it may not have counted all.
        let (removed, left) = (wiped.count("files"), wiped.count("leftover_count"));
        assert!(removed < 20_000 && left > 20, "{removed} {left}");
        let leftovers = wiped.leftovers();
        assert_eq!(leftovers.len(), 20);
        let late = ": ETIME (the budget was used up)";
        assert!(
            leftovers.iter().all(|line| line.ends_with(late)),
            "{leftovers:?}"
        );
        assert!(wiped.stderr.contains(" more\n"), "{}", wiped.stderr);
        fixture.assert_canary();
        fixture.wipe_completely();
    }
}

#[test]
fn long_wipe_logs_its_progress() {
    let fixture = Fixture::in_memory(User::Root);
    fixture.owned_directory("workspace/inner");
    let mut command = fixture.command(&["--json", "--keep-root"]);
    command.arg(fixture.workspace());
    let blocker = OpenBlocker::new(&fixture.path("workspace/inner"));
    let child = start(command);
    // Held in the middle of its work, it logs a line afterwards.
    blocker.hold(Duration::from_millis(5100), || {});
    let wiped = finish(child);
    wiped.assert_complete();
    assert!(
        wiped.stderr.contains("wiping") && wiped.stderr.contains("files"),
        "{}",
        wiped.stderr
    );
}
