//! `docker build` as a job runs it.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use support::{podman, podman_command};

use crate::buildkit::said;
use crate::case::Case;
use crate::compare::Outcome;
use crate::image::Image;

/// Where the workspace of a pod's job lies on this machine.
pub(crate) fn workspace(pod: &str) -> PathBuf {
    let path = podman(&["volume", "inspect", "--format", "{{.Mountpoint}}", pod]);
    PathBuf::from(String::from_utf8_lossy(&path.stdout).trim())
}

/// A shell in the job's container.
pub(crate) struct Shell {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Shell {
    /// Starts it.
    pub(crate) fn start(pod: &str) -> Self {
        let mut command = podman_command();
        command.args([
            "exec",
            "--interactive",
            "--user=1000:1000",
            "--env=HOME=/workspace/home",
        ]);
        command.args(["--env=TMPDIR=/workspace/tmp", pod, "bash"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            input,
            output,
        }
    }

    /// Builds a case in `context`, whose path in the job's container is `inside`.
    pub(crate) fn build(&mut self, case: &Case, context: &Path, inside: &str) -> Outcome {
        let variables = case.values("env").map(quoted).collect::<Vec<_>>().join(" ");
        let flags = flags(case)
            .iter()
            .map(|flag| quoted(flag))
            .collect::<Vec<_>>()
            .join(" ");
        let build = format!(
            "env {variables} docker build {flags} --output type=docker,dest={inside}.tar ."
        );
        let script = format!("(cd {inside} && {build}) >{inside}.log 2>&1 </dev/null; echo $?\n");
        self.input.write_all(script.as_bytes()).unwrap();
        let mut code = String::new();
        self.output.read_line(&mut code).unwrap();
        let log = context.with_extension("log");
        let text = String::from_utf8_lossy(&std::fs::read(&log).unwrap()).into_owned();
        let archive = context.with_extension("tar");
        let image = (code == "0\n").then(|| Image::read(&archive).unwrap());
        let _ = std::fs::remove_file(archive);
        std::fs::remove_file(log).unwrap();
        Outcome {
            image,
            said: said(&text),
            log: text,
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.input.write_all(b"exit\n");
        let _ = self.child.wait();
    }
}

/// The case's settings as flags of `docker build`.
fn flags(case: &Case) -> Vec<String> {
    let settings = case.settings.iter().filter(|(name, _)| name != "env");
    let flag = |(name, value): &(String, String)| match name.as_str() {
        "no-cache" => "--no-cache".to_owned(),
        "context" => format!("--build-context={value}"),
        _ => format!("--{name}={value}"),
    };
    settings.map(flag).collect()
}

/// A word of the shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[test]
fn flags_are_those_of_docker_build() {
    let text = "==== a\n@build-arg A=1 2\n@context other=dir\n@env B=2\n@no-cache\nFROM scratch\n";
    let case = &crate::case::parse(text).unwrap()[0];
    assert_eq!(
        flags(case),
        [
            "--build-arg=A=1 2",
            "--build-context=other=dir",
            "--no-cache"
        ]
    );
    assert_eq!(quoted("a'b"), r"'a'\''b'");
}
