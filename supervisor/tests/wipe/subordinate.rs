//! Files of subordinate ids, as a rootless build leaves them: made in a real user namespace.

use std::process::Command;
use std::time::Duration;

use crate::place::{Ambush, Place, Who, Wiped, finish, run, start};
use crate::run::wait_until;

const DROP: &str =
    "setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all --ambient-caps=-all";

/// As root of uid 1000's namespace: foreign owners, closed directories, whiteouts, overlay's own directories.
const BUILD: &str = r#"
    set -eu
    cd "$workspace"
    mkdir -p owned/below/closed owned/nobody
    : >owned/below/closed/file; : >owned/below/file; : >owned/nobody/file
    chown 1:1 owned/below/closed/file owned/below/closed
    chown -R 999:999 owned/nobody
    chown 33:33 owned/below owned/below/file
    chmod 000 owned/below/closed owned/below owned/nobody
    chmod u+s owned/nobody; chown 33:33 owned
    mkdir -p lower/dir upper work merged
    : >lower/dir/file; : >lower/gone
    mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work,userxattr merged
    rm -r merged/gone merged/dir
    mkdir merged/dir; : >merged/new; chown 500:500 merged/new
    [ -c upper/gone ] || exit 7
"#;

/// With ranges for uid 1000 in /etc/subuid and /etc/subgid of a mount namespace, or without.
fn build_and_wipe(place: &Place, ranges: bool, build: &str) -> Wiped {
    let map = "unshare --user --map-root-user --map-auto --setuid 0 --setgid 0 --mount";
    let script = format!(
        "set -eu; mount --make-rprivate /
        printf '1000:100000:65536\\n' >\"$workspace/../ranges\"; : >\"$workspace/../none\"
        for file in /etc/subuid /etc/subgid; do mount --bind \"$workspace/../ranges\" $file; done
        {DROP} {map} bash -c \"$build\"
        {without}
        {DROP} \"$supervisor\" wipe --json --keep-root \"$workspace\"",
        without = if ranges {
            ""
        } else {
            "for file in /etc/subuid /etc/subgid; do mount --bind \"$workspace/../none\" $file; done"
        }
    );
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "bash", "-c", &script])
        .env("workspace", place.workspace())
        .env("supervisor", place.supervisor())
        .env("build", build);
    run(command)
}

#[test]
fn they_are_removed_from_inside_the_namespace_that_owns_them() {
    let place = Place::new(Who::Runner);
    let wiped = build_and_wipe(&place, true, BUILD);
    wiped.assert_complete();
    place.assert_empty();
    // Both passes are counted: 3 files in owned, 2 in lower, whiteout and new in upper; the kernel keeps a
    // spare whiteout in work, or not.
    assert!(wiped.count("files") >= 7, "{wiped:?}");
}

#[test]
fn without_a_map_they_are_named() {
    let place = Place::new(Who::Runner);
    let wiped = build_and_wipe(&place, false, BUILD);
    assert_eq!(wiped.code, Some(75), "{wiped:?}");
    wiped.assert_left(&place.workspace().join("owned/below"), "EPERM");
    // The whiteouts and the layer of the user's own are gone all the same.
    assert!(!place.workspace().join("upper").exists());
    place.assert_canary();
}

#[test]
fn a_symlink_of_theirs_leads_nowhere_else() {
    let place = Place::new(Who::Runner);
    let build = r#"
        set -eu
        cd "$workspace"
        mkdir dir; ln -s ../../canary dir/link; ln -s /etc/passwd dir/file
        chown -h 5:5 dir/link dir/file; chown 5:5 dir; chmod 0 dir
    "#;
    build_and_wipe(&place, true, build).assert_complete();
    place.assert_empty();
}

/// Wipes with these flags, and holds the child, which alone may open the directory, for so long.
fn held_in_the_child(flags: &str, time: Duration) -> Wiped {
    let place = Place::new(Who::Runner);
    let script = format!(
        "set -eu; mount --make-rprivate /; cd \"$workspace\"
        printf '1000:100000:65536\\n' >../ranges
        for file in /etc/subuid /etc/subgid; do mount --bind ../ranges $file; done
        {DROP} unshare --user --map-root-user --map-auto --setuid 0 --setgid 0 bash -ec '
            mkdir theirs; : >theirs/file; chown -R 33:33 theirs; chmod 0 theirs'
        : >../ready; until [ -e ../go ]; do sleep 0.01; done
        exec {DROP} \"$supervisor\" wipe --json --keep-root {flags} \"$workspace\""
    );
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "bash", "-c", &script])
        .env("workspace", place.workspace())
        .env("supervisor", place.supervisor());
    let child = start(command);
    wait_until(|| place.path("ready").exists());
    let ambush = Ambush::at(&place.path("workspace/theirs"));
    place.file("go", "");
    ambush.hold(time, || {});
    let wiped = finish(child);
    place.assert_canary();
    wiped
}

#[test]
fn the_budget_holds_for_the_child_too() {
    // Let go, it would remove the file: it was ended before.
    let wiped = held_in_the_child("--budget 1s", Duration::from_secs(4));
    assert_eq!(wiped.code, Some(75), "{wiped:?}");
    let leftovers = wiped.leftovers().join(" ");
    assert!(leftovers.contains("workspace/theirs: E"), "{leftovers}");
}

#[test]
fn a_child_that_takes_long_says_where_it_is() {
    let wiped = held_in_the_child("", Duration::from_millis(5200));
    wiped.assert_complete();
    assert_eq!(wiped.count("files"), 1);
    assert!(wiped.stderr.contains("wiping"), "{}", wiped.stderr);
}
