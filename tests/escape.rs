//! A hostile job and a hostile Containerfile, in the real containers: one attempt a test, and none may succeed.
#![allow(clippy::unwrap_used, missing_docs)]

mod escape {
    pub(super) mod command_line;
    pub(super) mod containerfile;
    pub(super) mod context;
    pub(super) mod pushes;
    pub(super) mod run_steps;
    pub(super) mod socket;
}

use std::sync::Arc;

use support::{Done, Pod};

/// In the builder's credentials, and nowhere else.
const TOKEN: &str = "dG9rZW46YnVpbGRlci1hbG9uZQ==";
/// The image that every build here starts from.
const BASE: &str = "127.0.0.1:5000/base:trixie";

fn pod() -> Arc<Pod> {
    let credentials = format!(r#"{{"auths":{{"127.0.0.1:5000":{{"auth":"{TOKEN}"}}}}}}"#);
    Pod::shared(
        &["SUPERVISOR_BUILDER__PUSH__ALLOW=127.0.0.1:5000/team/*"],
        &credentials,
    )
}

/// What a `RUN` step does, with everything it says.
fn run_step(script: &str) -> Done {
    pod().build(
        &format!("FROM {BASE}\nRUN <<'END'\n{script}\nEND"),
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
    let done = pod().job("buildah version");
    assert_eq!(done.code, 0, "{}", done.said);
}
