//! Files of subordinate ids, as a rootless build leaves them. A real user namespace makes them.

use std::process::Command;
use std::time::Duration;

use test_support::eventually;

use crate::fixture::{Fixture, User};
use crate::process::{Finished, OpenBlocker, finish, run, start};

const DROP: &str =
    "setpriv --reuid 1000 --regid 1000 --clear-groups --inh-caps=-all --ambient-caps=-all";

/// Runs as root of uid 1000's namespace: foreign owners, closed directories, whiteouts, directories of an overlay.
const BUILD: &str = r#"
    set -eu
    cd "$workspace"
    mkdir -p owned/below/closed owned/other
    : >owned/below/closed/file; : >owned/below/file; : >owned/other/file
    chown 1:1 owned/below/closed/file owned/below/closed
    chown -R 999:999 owned/other
    chown 33:33 owned/below owned/below/file
    chmod 000 owned/below/closed owned/below owned/other
    chmod u+s owned/other; chown 33:33 owned
    mkdir -p lower/dir upper work merged
    : >lower/dir/file; : >lower/gone
    mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work,userxattr merged
    rm -r merged/gone merged/dir
    mkdir merged/dir; : >merged/new; chown 500:500 merged/new
    [ -c upper/gone ] || exit 7
"#;

/// Builds with ranges for uid 1000 in /etc/subuid and /etc/subgid, then wipes with the `ranges` or without them.
fn build_and_wipe(fixture: &Fixture, ranges: bool, build: &str) -> Finished {
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
        .env("workspace", fixture.workspace())
        .env("supervisor", fixture.supervisor())
        .env("build", build);
    run(command)
}

#[test]
fn wipe_removes_files_of_subordinate_ids() {
    let fixture = Fixture::new(User::Runner);
    let wiped = build_and_wipe(&fixture, true, BUILD);
    wiped.assert_complete();
    fixture.assert_empty();
    // Both passes are counted: 3 files in owned, 2 in lower, whiteout and new in upper. The kernel may keep a spare
    // whiteout in work.
    assert!(wiped.count("files") >= 7, "{wiped:?}");
}

#[test]
fn wipe_names_files_of_subordinate_ids_without_a_map() {
    let fixture = Fixture::new(User::Runner);
    let wiped = build_and_wipe(&fixture, false, BUILD);
    assert_eq!(wiped.code, Some(75), "{wiped:?}");
    wiped.assert_leftover(&fixture.workspace().join("owned/below"), "EPERM");
    // The whiteouts and the user's own layer are gone.
    assert!(!fixture.workspace().join("upper").exists());
    fixture.assert_canary();
}

#[test]
fn wipe_follows_no_symlink_of_a_subordinate_id() {
    let fixture = Fixture::new(User::Runner);
    let build = r#"
        set -eu
        cd "$workspace"
        mkdir dir; ln -s ../../canary dir/link; ln -s /etc/passwd dir/file
        chown -h 5:5 dir/link dir/file; chown 5:5 dir; chmod 0 dir
    "#;
    build_and_wipe(&fixture, true, build).assert_complete();
    fixture.assert_empty();
}

/// Wipes with these flags, and holds the child for `time`. Only the child may open the directory.
fn wipe_holding_child(flags: &str, time: Duration) -> Finished {
    let fixture = Fixture::new(User::Runner);
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
        .env("workspace", fixture.workspace())
        .env("supervisor", fixture.supervisor());
    let child = start(command);
    eventually("the job", || fixture.path("ready").exists());
    let blocker = OpenBlocker::new(&fixture.path("workspace/theirs"));
    fixture.file("go", "");
    blocker.hold(time, || {});
    let wiped = finish(child);
    fixture.assert_canary();
    wiped
}

#[test]
fn budget_ends_the_child() {
    // It was ended before it could remove the file.
    let wiped = wipe_holding_child("--budget 1s", Duration::from_secs(4));
    assert_eq!(wiped.code, Some(75), "{wiped:?}");
    let leftovers = wiped.leftovers().join(" ");
    assert!(leftovers.contains("workspace/theirs: E"), "{leftovers}");
}

#[test]
fn long_child_logs_its_progress() {
    let wiped = wipe_holding_child("", Duration::from_millis(5200));
    wiped.assert_complete();
    assert_eq!(wiped.count("files"), 1);
    assert!(wiped.stderr.contains("wiping"), "{}", wiped.stderr);
}
