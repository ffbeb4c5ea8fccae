//! A hostile job and a hostile Containerfile, in the real containers: each test makes one attempt, which must fail.
#![allow(clippy::unwrap_used, missing_docs)]

mod command_line;
mod containerfile;
mod context;
mod disk;
mod pushes;
mod run_steps;
mod socket;
mod views;

use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use support::{Done, Pod};

/// In the builder's credentials, and nowhere else.
const TOKEN: &str = "dG9rZW46YnVpbGRlci1hbG9uZQ==";
/// The image that every build here starts from.
const BASE: &str = "127.0.0.1:5000/base:trixie";

fn shared() -> Arc<Pod> {
    let credentials = format!(r#"{{"auths":{{"127.0.0.1:5000":{{"auth":"{TOKEN}"}}}}}}"#);
    Pod::shared(
        &["SUPERVISOR_BUILDER__PUSH__ALLOW=127.0.0.1:5000/team/*"],
        &credentials,
    )
}

/// All builds of a pod are one job's, which may disturb itself: attempts that do have the pod for themselves.
static DISTURBED: RwLock<()> = RwLock::new(());

/// The pod, while no other test disturbs it.
struct Undisturbed(
    Arc<Pod>,
    #[allow(dead_code, reason = "held")] RwLockReadGuard<'static, ()>,
);

impl Deref for Undisturbed {
    type Target = Pod;

    fn deref(&self) -> &Pod {
        &self.0
    }
}

fn pod() -> Undisturbed {
    let guard = DISTURBED.read().unwrap_or_else(PoisonError::into_inner);
    Undisturbed(shared(), guard)
}

/// The pod for one test alone.
fn alone() -> (Arc<Pod>, RwLockWriteGuard<'static, ()>) {
    let guard = DISTURBED.write().unwrap_or_else(PoisonError::into_inner);
    (shared(), guard)
}

/// What a `RUN` step does, with everything it says.
fn run_step(script: &str) -> Done {
    run_step_in(&pod(), script)
}

fn run_step_in(pod: &Pod, script: &str) -> Done {
    pod.build(
        &format!(
            "FROM {BASE}\nRUN <<'END'\ntaken() {{ {}; }}; trap 'code=$?; taken; exit $code' EXIT\n{script}\nEND",
            support::taken!()
        ),
        "--no-cache",
    )
}

fn assert_refused(done: &Done, because: &str) {
    assert_eq!(done.code, 125, "{}", done.said);
    assert!(done.said.contains(because), "{}", done.said);
    assert_no_token(done);
}

fn assert_no_token(done: &Done) {
    assert!(!done.said.contains(TOKEN), "{}", done.said);
}

/// Whatever happened before, the builder still answers.
fn assert_it_still_serves() {
    assert_serves(&pod());
}

fn assert_serves(pod: &Pod) {
    let done = pod.job("buildah version");
    assert_eq!(done.code, 0, "{}", done.said);
}

#[test]
fn the_readme_has_the_count() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("escape");
    let files = std::fs::read_dir(directory).unwrap();
    // This file has no attempt.
    let files = files
        .map(|file| file.unwrap().path())
        .filter(|path| !path.ends_with("main.rs"));
    let texts = files.map(|file| std::fs::read_to_string(file).unwrap());
    let count: usize = texts.map(|text| text.matches("#[test]").count()).sum();
    let readme = std::fs::read_to_string(support::root().join("README.md")).unwrap();
    assert!(
        readme.contains(&format!("A suite of {count} attempts")),
        "{count}"
    );
}
