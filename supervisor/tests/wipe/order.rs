//! What is most sensitive goes first: the order of the paths is the order of the work.

use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::process::Command;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

use crate::place::{Place, Who, run};

/// In which order files vanished from these directories of the workspace.
fn order_of(place: &Place, watched: &[&str], command: Command) -> Vec<String> {
    let notify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).unwrap();
    let mut names = HashMap::new();
    for name in watched {
        let path = place.workspace().join(name);
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
fn the_paths_of_a_command_are_wiped_one_after_the_other() {
    let place = Place::new(Who::Runner);
    place.job("mkdir a b c; for d in a b c; do for i in {1..50}; do : >$d/$i; done; done");
    let mut command = place.command(&["--keep-root"]);
    command.args(["b", "c", "a"].map(|name| place.workspace().join(name)));
    assert_eq!(order_of(&place, &["a", "b", "c"], command), ["b", "c", "a"]);
}

#[test]
fn a_run_wipes_credentials_then_sources_then_caches() {
    let place = Place::new(Who::Runner);
    place.directory_of_the_job("run");
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
    // The watches need the directories: an earlier run that nobody wiped left them all.
    place.job("mkdir -p work home tmp");
    let prepare = format!("cd work; export HOME=$PWD/../home TMPDIR=$PWD/../tmp; {job}");
    place.job(&prepare);
    let mut command = Command::new(place.supervisor());
    command
        .args(["run", "--no-preflight", "--storage-driver", "none"])
        .arg("--workspace")
        .arg(place.workspace())
        .args(["--", "true"])
        .env("SUPERVISOR_RUNTIME_DIRECTORY", place.path("run"))
        .env("SUPERVISOR_SECRETS__DIRECTORY", place.path("secrets"));
    place.as_who(&mut command);
    let order = order_of(&place, &watched, command);
    let first = |name: &str| order.iter().position(|found| found == name).unwrap();
    // Files of HOME itself, such as .netrc, come before all.
    assert_eq!(order[..2], ["home", "home/.docker"]);
    assert!(
        first("home/.docker") < first("work/repository"),
        "{order:?}"
    );
    assert!(first("work/repository") < first("home/.cache"), "{order:?}");
    assert!(first("home/.cache") < first("storage"), "{order:?}");
}
