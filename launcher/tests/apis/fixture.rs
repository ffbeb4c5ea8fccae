//! The launcher's program, with fakes of the APIs that it uses.

use std::process::{Child, Command, ExitStatus, Stdio};

use fake_apis::FakeApis;
use fake_apis::github::TOKEN;
use fake_apis::kube::NAMESPACE;
use serde_json::Value;
use tempfile::TempDir;

pub struct Fixture {
    pub apis: FakeApis,
    pub directory: TempDir,
}

/// The result of a command.
#[derive(Debug)]
pub struct CommandOutput {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl CommandOutput {
    /// Parses stdout as one object per line.
    pub fn objects(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

impl Fixture {
    pub fn new() -> Self {
        let apis = FakeApis::start();
        let directory = tempfile::tempdir().unwrap();
        let config = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\nclusters: [{{name: c, cluster: {{server: '{}'}}}}]\n\
             contexts: [{{name: test, context: {{cluster: c, user: u}}}}]\nusers: [{{name: u, user: {{token: t}}}}]\n",
            apis.kube_server.url()
        );
        std::fs::write(directory.path().join("kubeconfig"), config).unwrap();
        Self { apis, directory }
    }

    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Returns the program with these arguments, in a clean environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_launcher"));
        command
            .args(arguments)
            .env_clear()
            .env("KUBECONFIG", self.directory.path().join("kubeconfig"))
            .env("GITHUB_SERVER_URL", self.apis.github_server.url())
            .env("GITHUB_TOKEN", TOKEN)
            .env("LAUNCHER_REGISTRY", "registry.example/ci")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> CommandOutput {
        wait_for(self.command(arguments).spawn().unwrap())
    }

    /// Runs a launch for a repository at GitHub.
    pub fn launch(&self, arguments: &[&str]) -> CommandOutput {
        self.run(&launch(arguments))
    }

    pub fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(&launch(arguments)).spawn().unwrap()
    }

    /// Asserts that no object and no runner exists.
    pub fn assert_nothing_left(&self) {
        assert!(
            self.apis.github.runners().is_empty(),
            "{:?}",
            self.apis.github.runners()
        );
        for resource in ["jobs", "secrets", "pods"] {
            let left = self.apis.kube.list(resource);
            assert!(left.is_empty(), "{resource}: {left:?}");
        }
    }

    /// Returns the Job of an id.
    pub fn job(&self, id: &str) -> Option<Value> {
        self.apis.kube.get("jobs", &format!("runner-{id}"))
    }

    /// Grants only these rights of k8s/rbac.
    pub fn restrict(&self, rights: Vec<fake_apis::kube::Right>) {
        self.apis.kube.rights(rights);
    }
}

pub fn launch<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["launch", "--flavor", "github", "--repo", "octo/cat"];
    all.extend_from_slice(arguments);
    all
}

pub fn wait_for(child: Child) -> CommandOutput {
    let output = child.wait_with_output().unwrap();
    CommandOutput {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

pub fn kill(child: &mut Child) -> ExitStatus {
    child.kill().unwrap();
    child.wait().unwrap()
}

pub fn send_signal(child: &Child, signal: nix::sys::signal::Signal) {
    let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
    nix::sys::signal::kill(pid, signal).unwrap();
}

pub fn namespace() -> &'static str {
    NAMESPACE
}
