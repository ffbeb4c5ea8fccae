//! The order of the paths is the order of the wipe, so that the most sensitive files go first.

use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::process::Command;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

use crate::fixture::{Fixture, User};
use crate::process::run;

/// Returns the order in which files vanished from these directories of the workspace.
fn removal_order(fixture: &Fixture, watched: &[&str], command: Command) -> Vec<String> {
    let notify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).unwrap();
    let mut names = HashMap::new();
    for name in watched {
        let path = fixture.workspace().join(name);
        let watch = inotify::add_watch(&notify, path, WatchFlags::DELETE).unwrap();
        names.insert(watch, (*name).to_owned());
    }
    let ended = run(command);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let mut buffer = [MaybeUninit::uninit(); 8192];
    let mut reader = inotify::Reader::new(&notify, &mut buffer);
    let mut order = Vec::new();
    while let Ok(event) = reader.next() {
        if event.events().contains(ReadFlags::DELETE) {
            order.push(names[&event.wd()].clone());
        }
    }
    order.dedup();
    order
}

#[test]
fn wipe_takes_paths_in_their_order() {
    let fixture = Fixture::new(User::Runner);
    fixture.run_script("mkdir a b c; for d in a b c; do for i in {1..50}; do : >$d/$i; done; done");
    let mut command = fixture.command(&["--keep-root"]);
    command.args(["b", "c", "a"].map(|name| fixture.workspace().join(name)));
    assert_eq!(
        removal_order(&fixture, &["a", "b", "c"], command),
        ["b", "c", "a"]
    );
}

#[test]
fn run_wipes_credentials_then_sources_then_caches() {
    let fixture = Fixture::new(User::Runner);
    fixture.owned_directory("run");
    let watched = [
        "home",
        "home/.docker",
        "home/.cache",
        "work/repository",
        "storage",
        "tmp",
    ];
    let job = r#"
        mkdir -p ~/.docker ~/.cache repository ../storage
        for d in ~ ~/.docker ~/.cache repository ../storage "$TMPDIR"; do for i in {1..50}; do : >"$d/$i"; done; done
    "#;
    // The watches need existing directories, as a killed run leaves them.
    fixture.run_script("mkdir -p work home tmp");
    let prepare = format!("cd work; export HOME=$PWD/../home TMPDIR=$PWD/../tmp; {job}");
    fixture.run_script(&prepare);
    let mut command = Command::new(fixture.supervisor());
    command
        .args(["run", "--no-preflight", "--storage-driver", "none"])
        .arg("--workspace")
        .arg(fixture.workspace())
        .args(["--", "true"])
        .env("SUPERVISOR_RUNTIME_DIRECTORY", fixture.path("run"))
        .env("SUPERVISOR_SECRETS__DIRECTORY", fixture.path("secrets"));
    fixture.run_as_user(&mut command);
    let order = removal_order(&fixture, &watched, command);
    let first = |name: &str| order.iter().position(|found| found == name).unwrap();
    // The files right in HOME, such as .netrc, come first.
    assert_eq!(order[..2], ["home", "home/.docker"]);
    assert!(
        first("home/.docker") < first("work/repository"),
        "{order:?}"
    );
    assert!(first("work/repository") < first("home/.cache"), "{order:?}");
    assert!(first("home/.cache") < first("storage"), "{order:?}");
}
