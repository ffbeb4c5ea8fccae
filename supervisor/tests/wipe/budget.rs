//! The budget ends a wipe, long ones say where they are, and what is left for want of time is named as such.

use std::fs::File;
use std::time::Duration;

use crate::place::{Ambush, BOTH, Place, Who, finish, start};

fn fill(place: &Place, count: usize) {
    for number in 0..count {
        File::create(place.path(format!("workspace/{number}"))).unwrap();
    }
}

#[test]
fn what_does_not_fit_into_the_budget_is_left_and_named() {
    for who in BOTH {
        let place = Place::in_memory(who);
        fill(&place, 20_000);
        let wiped = place.wipe(&["--budget", "1ms"]);
        assert_eq!(wiped.code, Some(75));
        // The second look is bounded too: it may not have counted all.
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
        place.assert_canary();
        place.assert_wiped();
    }
}

#[test]
fn a_long_wipe_says_where_it_is() {
    let place = Place::in_memory(Who::Root);
    place.directory_of_the_job("workspace/inner");
    let mut command = place.command(&["--json", "--keep-root"]);
    command.arg(place.workspace());
    let ambush = Ambush::at(&place.path("workspace/inner"));
    let child = start(command);
    // Held in the middle of its work, it finds afterwards that a line is due.
    ambush.hold(Duration::from_millis(5100), || {});
    let wiped = finish(child);
    wiped.assert_complete();
    assert!(
        wiped.stderr.contains("wiping") && wiped.stderr.contains("files"),
        "{}",
        wiped.stderr
    );
}
