//! A directory in the role of CircleCI, the fake for its runner, and the log of both.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::namespace::{Ended, Running, Scene};

/// A resource-class token.
pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A scene of the flavor `circleci`.
pub(crate) struct Circleci {
    scene: Scene,
}

/// The compiled fake: cargo builds examples along with the tests.
fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let built = tests.parent().unwrap().parent().unwrap();
    built.join("examples/circleci-runner")
}

impl Circleci {
    pub(crate) fn new() -> Self {
        let scene = Scene::new().flavor("circleci");
        scene.owned_directory("circleci");
        scene.owned_directory("secrets");
        let image = scene.path("circleci-runner");
        fs::copy(program(), &image).unwrap();
        // As the image has it: root's, and execute-only.
        fs::set_permissions(&image, fs::Permissions::from_mode(0o111)).unwrap();
        fs::write(scene.path("circleci/token"), TOKEN).unwrap();
        // The fake's server side is not the task's to read.
        let variables = format!("{{FAKE_CIRCLECI={:?}}}", scene.path("circleci"));
        let circleci = Self { scene };
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
        self.scene = self.scene.setting(key, value);
        self
    }

    pub(crate) fn secret(self, key: &str, value: &str) -> Self {
        self.scene.secret(key, value);
        self
    }

    /// A file of the directory that plays CircleCI.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.scene.path("circleci").join(name)
    }

    pub(crate) fn program_mode(self, mode: u32) -> Self {
        let image = self.scene.path("circleci-runner");
        fs::set_permissions(image, fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    /// The task that waits for this runner.
    pub(crate) fn task(self, script: &str) -> Self {
        fs::write(self.scene.path("circleci/task.sh"), script).unwrap();
        self
    }

    pub(crate) fn start(self) -> Running {
        self.scene.start(&[])
    }

    pub(crate) fn run(self) -> Ended {
        self.start().wait()
    }
}

/// What the fake noted.
pub(crate) fn log(scene: &Scene) -> String {
    fs::read_to_string(scene.path("circleci/log")).unwrap_or_default()
}

pub(crate) fn wait_for_log(running: &Running, text: &str) {
    running.wait_for_text("circleci/log", text);
}
