//! A directory in the role of GitHub, the fake for its runner, and the log of both.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use test_support::{Ended, Fixture, Running};

use crate::SUPERVISOR;

pub(crate) const REGISTRATION: &str = "AABF3JGZDX3P5PMEXLND6TS6FCWO6";
pub(crate) const REMOVE: &str = "BBCG4KHAEY4Q6QNFYMOE7UT7GDXP7";

/// A fixture of the flavor `github`.
pub(crate) struct Github {
    fixture: Fixture,
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
        let fixture = Fixture::new(SUPERVISOR).flavor("github");
        fixture.owned_directory("github");
        fixture.owned_directory("secrets");
        let fake = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fakes/actions-runner");
        copy(Path::new(fake), &fixture.path("image"));
        fs::copy(listener(), fixture.path("image/bin/Runner.Listener")).unwrap();
        fs::write(fixture.path("github/registration-token"), REGISTRATION).unwrap();
        fs::write(fixture.path("github/remove-token"), REMOVE).unwrap();
        let variables = format!("{{FAKE_GITHUB={:?}}}", fixture.path("github"));
        let image = fixture.path("image").to_string_lossy().into_owned();
        let github = Self { fixture };
        github
            .set("RUNNER__ENV", &variables)
            .set("GITHUB__DIRECTORY", &image)
            .set("GITHUB__RETRY_PAUSE", "10ms")
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

    /// Shell commands before the supervisor starts, in the same process.
    pub(crate) fn prelude(mut self, commands: &str) -> Self {
        self.fixture = self.fixture.prelude(commands);
        self
    }

    /// A file of the directory that plays GitHub.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.fixture.path("github").join(name)
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
        self.fixture.start(&[])
    }

    pub(crate) fn run(self) -> Ended {
        self.start().wait()
    }
}

/// What the fake noted.
pub(crate) fn log(fixture: &Fixture) -> String {
    fs::read_to_string(fixture.path("github/log")).unwrap_or_default()
}

/// Waits until the fake has noted it.
pub(crate) fn wait_for_log(running: &Running, text: &str) {
    running.wait_for_text("github/log", text);
}

/// Makes a file where the job looks for it.
pub(crate) fn allow(running: &Running, name: &str) {
    fs::write(running.fixture.path("github").join(name), "").unwrap();
}

/// How often the fake noted it.
pub(crate) fn count(fixture: &Fixture, text: &str) -> usize {
    log(fixture)
        .lines()
        .filter(|line| line.contains(text))
        .count()
}
