//! The launcher's program against the stand-ins.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::fakes::World;
use crate::fakes::github::TOKEN;
use crate::fakes::kube::NAMESPACE;

pub struct Lab {
    pub world: World,
    pub directory: TempDir,
}

/// What a command has come to.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// One object a line.
    pub fn objects(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

impl Lab {
    pub fn new() -> Self {
        let world = World::start();
        let directory = tempfile::tempdir().unwrap();
        let config = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\nclusters: [{{name: c, cluster: {{server: '{}'}}}}]\n\
             contexts: [{{name: test, context: {{cluster: c, user: u}}}}]\nusers: [{{name: u, user: {{token: t}}}}]\n",
            world.kube_server.url()
        );
        std::fs::write(directory.path().join("kubeconfig"), config).unwrap();
        Self { world, directory }
    }

    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The program with these arguments, in an environment of its own.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_launcher"));
        command
            .args(arguments)
            .env_clear()
            .env("KUBECONFIG", self.directory.path().join("kubeconfig"))
            .env("GITHUB_SERVER_URL", self.world.github_server.url())
            .env("GITHUB_TOKEN", TOKEN)
            .env("LAUNCHER_REGISTRY", "registry.example/ci")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        ran(self.command(arguments).spawn().unwrap())
    }

    /// A launch for a repository at GitHub.
    pub fn launch(&self, arguments: &[&str]) -> Ran {
        self.run(&launch(arguments))
    }

    pub fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(&launch(arguments)).spawn().unwrap()
    }

    /// Nothing of a launch is anywhere.
    pub fn assert_nothing_left(&self) {
        assert!(
            self.world.github.runners().is_empty(),
            "{:?}",
            self.world.github.runners()
        );
        for resource in ["jobs", "secrets", "pods"] {
            let left = self.world.kube.list(resource);
            assert!(left.is_empty(), "{resource}: {left:?}");
        }
    }

    /// The Job of an id.
    pub fn job(&self, id: &str) -> Option<Value> {
        self.world.kube.get("jobs", &format!("runner-{id}"))
    }

    /// Has only what these rules of k8s/rbac allow.
    pub fn restrict(&self, rights: Vec<crate::fakes::kube::Right>) {
        self.world.kube.rights(rights);
    }
}

pub fn launch<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["launch", "--flavor", "github", "--repo", "octo/cat"];
    all.extend_from_slice(arguments);
    all
}

pub fn ran(child: Child) -> Ran {
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Waits for something that stays once it is so. The limit only ends a test that has failed.
pub fn until(what: &str, mut is: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "{what} never came to be"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn kill(child: &mut Child) -> ExitStatus {
    child.kill().unwrap();
    child.wait().unwrap()
}

pub fn signal(child: &Child, signal: nix::sys::signal::Signal) {
    let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
    nix::sys::signal::kill(pid, signal).unwrap();
}

pub fn namespace() -> &'static str {
    NAMESPACE
}
