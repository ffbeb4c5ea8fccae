//! A directory in the role of CircleCI, the fake for its runner, and the log of both.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use test_support::{Ended, Fixture, Running};

use crate::SUPERVISOR;

/// A resource-class token.
pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A fixture of the flavor `circleci`.
pub(crate) struct Circleci {
    fixture: Fixture,
}

/// The compiled fake: cargo builds examples along with the tests.
fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let built = tests.parent().unwrap().parent().unwrap();
    built.join("examples/circleci-runner")
}

impl Circleci {
    pub(crate) fn new() -> Self {
        let fixture = Fixture::new(SUPERVISOR).flavor("circleci");
        fixture.owned_directory("circleci");
        fixture.owned_directory("secrets");
        let image = fixture.path("circleci-runner");
        fs::copy(program(), &image).unwrap();
        // As the image has it: root's, and execute-only.
        fs::set_permissions(&image, fs::Permissions::from_mode(0o111)).unwrap();
        fs::write(fixture.path("circleci/token"), TOKEN).unwrap();
        // The fake's server side is not the task's to read.
        let variables = format!("{{FAKE_CIRCLECI={:?}}}", fixture.path("circleci"));
        let circleci = Self { fixture };
        circleci
            .secret("resource_class_token", TOKEN)
            .set("RUNNER__ENV", &variables)
            .set("CIRCLECI__PROGRAM", &image.to_string_lossy())
            .set("CIRCLECI__NAME", "pod/1")
            .set("GRACE", "20s")
            .set("TERMINATION_GRACE_PERIOD", "60s")
    }

    /// A setting; a later one wins.
    pub(crate) fn set(mut self, key: &str, value: &str) -> Self {
        self.fixture = self.fixture.setting(key, value);
        self
    }

    pub(crate) fn secret(self, key: &str, value: &str) -> Self {
        self.fixture.secret(key, value);
        self
    }

    /// A file of the directory that plays CircleCI.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.fixture.path("circleci").join(name)
    }

    pub(crate) fn program_mode(self, mode: u32) -> Self {
        let image = self.fixture.path("circleci-runner");
        fs::set_permissions(image, fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    /// The task that waits for this runner.
    pub(crate) fn task(self, script: &str) -> Self {
        fs::write(self.fixture.path("circleci/task.sh"), script).unwrap();
        self
    }

    pub(crate) fn start(self) -> Running {
        self.fixture.start(&[])
    }

    pub(crate) fn run(self) -> Ended {
        self.start().wait()
    }
}

/// What the fake noted.
pub(crate) fn log(fixture: &Fixture) -> String {
    fs::read_to_string(fixture.path("circleci/log")).unwrap_or_default()
}

pub(crate) fn wait_for_log(running: &Running, text: &str) {
    running.wait_for_text("circleci/log", text);
}
