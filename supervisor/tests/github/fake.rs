//! A directory in the role of GitHub, the fake for its runner, and the log of both.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::namespace::{Ended, Running, Scene};

pub(crate) const REGISTRATION: &str = "AABF3JGZDX3P5PMEXLND6TS6FCWO6";
pub(crate) const REMOVE: &str = "BBCG4KHAEY4Q6QNFYMOE7UT7GDXP7";

/// A scene of the flavor `github`.
pub(crate) struct Github {
    scene: Scene,
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-rT").arg(from).arg(to).status();
    assert!(copied.unwrap().success(), "{}", from.display());
}

/// The compiled fake: cargo builds examples along with the tests.
fn listener() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let built = tests.parent().unwrap().parent().unwrap();
    built.join("examples/runner-listener")
}

/// The encoded form that GitHub's API gives out.
pub(crate) fn jit_configuration() -> String {
    let files = r#"{agentName: "pod", workFolder: "_work", gitHubUrl: "https://github.com/o/r", ephemeral: "True", disableUpdate: "True"}
        | {".runner": (tostring | @base64),
           ".credentials": ({scheme: "OAuth", data: {clientId: "thief-would-want-this"}} | tostring | @base64),
           ".credentials_rsaparams": ({d: "private"} | tostring | @base64)} | tostring | @base64"#;
    let output = Command::new("jq").args(["-nr", files]).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Github {
    /// With a JIT configuration, which is registered before its runner starts.
    pub(crate) fn jit() -> Self {
        let github = Self::empty().secret("jitconfig", &jit_configuration());
        fs::write(github.file("registered"), "").unwrap();
        github
    }

    /// With a registration token.
    pub(crate) fn registration() -> Self {
        Self::empty()
            .secret("registration_token", REGISTRATION)
            .set("GITHUB__URL", "https://github.com/owner/repository")
            .set("GITHUB__NAME", "pod-1")
    }

    pub(crate) fn empty() -> Self {
        let scene = Scene::new().flavor("github");
        scene.owned_directory("github");
        scene.owned_directory("secrets");
        let fake = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fakes/actions-runner");
        copy(Path::new(fake), &scene.path("image"));
        fs::copy(listener(), scene.path("image/bin/Runner.Listener")).unwrap();
        fs::write(scene.path("github/registration-token"), REGISTRATION).unwrap();
        fs::write(scene.path("github/remove-token"), REMOVE).unwrap();
        let variables = format!("{{FAKE_GITHUB={:?}}}", scene.path("github"));
        let image = scene.path("image").to_string_lossy().into_owned();
        let github = Self { scene };
        github
            .set("RUNNER__ENV", &variables)
            .set("GITHUB__DIRECTORY", &image)
            .set("GITHUB__RETRY_PAUSE", "10ms")
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

    /// Shell commands before the supervisor starts, in the same process.
    pub(crate) fn prelude(mut self, commands: &str) -> Self {
        self.scene = self.scene.prelude(commands);
        self
    }

    /// A file of the directory that plays GitHub.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.scene.path("github").join(name)
    }

    /// The job that waits for this runner.
    pub(crate) fn job(self, script: &str) -> Self {
        fs::write(self.file("job.sh"), script).unwrap();
        self
    }

    /// How each start ends before it asks for a job.
    pub(crate) fn exits(self, codes: &[u8]) -> Self {
        let lines: String = codes.iter().map(|code| format!("{code}\n")).collect();
        fs::write(self.file("exit-codes"), lines).unwrap();
        let owner = Some(1000);
        let file = self.file("exit-codes");
        nix::unistd::chown(&file, owner.map(Into::into), None).unwrap();
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
    fs::read_to_string(scene.path("github/log")).unwrap_or_default()
}

/// Waits until the fake has noted it.
pub(crate) fn wait_for_log(running: &Running, text: &str) {
    running.wait_for_text("github/log", text);
}

/// Makes a file where the job looks for it.
pub(crate) fn allow(running: &Running, name: &str) {
    fs::write(running.scene.path("github").join(name), "").unwrap();
}

/// How often the fake noted it.
pub(crate) fn count(scene: &Scene, text: &str) -> usize {
    log(scene)
        .lines()
        .filter(|line| line.contains(text))
        .count()
}
