//! `docker` command lines of a job, for its own builder and a registry on its loopback.

use std::path::PathBuf;
use std::sync::Arc;

use support::{Pod, podman};

pub(crate) const REGISTRY: &str = "127.0.0.1:5000";

const MANIFESTS: [&str; 4] = [
    "Accept: application/vnd.oci.image.manifest.v1+json",
    "Accept: application/vnd.oci.image.index.v1+json",
    "Accept: application/vnd.docker.distribution.manifest.v2+json",
    "Accept: application/vnd.docker.distribution.manifest.list.v2+json",
];

/// Which link is called.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Program {
    Docker,
    Podman,
}

/// The pod that all tests share, and a directory in its workspace that they do not.
pub(crate) struct Fixture {
    pod: Arc<Pod>,
    directory: PathBuf,
}

/// What a command line led to.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Fixture {
    pub(crate) fn start(name: &str) -> Self {
        let pod = Pod::shared(&[], r#"{"auths":{}}"#);
        let directory = PathBuf::from("/workspace/work").join(name);
        let made = pod.job(&format!("mkdir -p {}", directory.display()));
        assert_eq!(made.code, 0, "{}", made.said);
        Self { pod, directory }
    }

    /// The name of the job's container.
    pub(crate) fn pod(&self) -> String {
        self.pod.name()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// A file of the job's.
    pub(crate) fn read(&self, name: &str) -> String {
        self.inside(&["cat", &self.path(name).to_string_lossy()])
            .stdout
    }

    /// A context whose image says who built it.
    pub(crate) fn context(&self, name: &str, containerfile: &str) -> String {
        let directory = self.path(name).to_string_lossy().into_owned();
        let script = format!(
            "mkdir -p {directory} && cd {directory} && printf %s {name} >file && printf '%s' '{containerfile}' >Dockerfile"
        );
        let made = self.pod.job(&script);
        assert_eq!(made.code, 0, "{}", made.said);
        directory
    }

    pub(crate) fn inside(&self, command: &[&str]) -> Ran {
        let name = self.pod.name();
        let mut line = vec!["exec", "--user", "1000:1000", "--env", "TOKEN=hunter2"];
        line.extend(["--env", "TMPDIR=/workspace/tmp"]);
        line.extend(["--env", "HOME=/workspace/home", &name]);
        line.extend(command);
        let output = podman(&line);
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    pub(crate) fn run(&self, program: Program, arguments: &[&str]) -> Ran {
        let mut line = vec![match program {
            Program::Docker => "docker",
            Program::Podman => "podman",
        }];
        line.extend(arguments);
        self.inside(&line)
    }

    /// What a successful `docker` prints.
    pub(crate) fn docker(&self, arguments: &[&str]) -> String {
        let ran = self.run(Program::Docker, arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {}{}", ran.stdout, ran.stderr);
        ran.stdout
    }

    /// The digest that the registry has.
    pub(crate) fn digest(&self, name: &str, tag: &str) -> String {
        let address = format!("http://{REGISTRY}/v2/{name}/manifests/{tag}");
        let mut line = vec!["curl", "--silent", "--fail", "--head"];
        for kind in MANIFESTS {
            line.extend(["--header", kind]);
        }
        line.push(&address);
        let head = self.inside(&line).stdout.to_lowercase();
        let line = head
            .lines()
            .find_map(|line| line.strip_prefix("docker-content-digest: "));
        line.unwrap_or_else(|| panic!("{name}:{tag} is not in the registry: {head}"))
            .trim()
            .to_owned()
    }
}
