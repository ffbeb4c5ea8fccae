//! Runs `scripts/runme_local.sh` as a user would, and looks at what is left.
//!
//! Needs root, podman and the images: `scripts/test.sh` sees to all of it. Helpers fail loudly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod image;
mod job;

pub use image::Image;
pub use job::{Ended, Job, Running};

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// The repository's root.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

/// A repository in `tests/fixtures`.
#[must_use]
pub fn fixture(name: &str) -> PathBuf {
    root().join("tests/fixtures").join(name)
}

/// The supervisor that `scripts/test.sh` built: static, as released.
#[must_use]
pub fn supervisor() -> PathBuf {
    let path = std::env::var_os("SUPERVISOR_BINARY")
        .expect("SUPERVISOR_BINARY is not set: run these tests with scripts/test.sh");
    PathBuf::from(path)
}

/// podman with the flags that it needs on this machine, as the scripts find them.
#[must_use]
pub fn podman(arguments: &[&str]) -> Output {
    let script = "source scripts/lib.sh; engine_options; engine \"$@\"";
    let output = Command::new("bash")
        .args(["-c", script, "bash"])
        .args(arguments)
        .current_dir(root())
        .output();
    output.unwrap()
}

/// Asks until there is an answer; a minute later the test has failed.
pub fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
