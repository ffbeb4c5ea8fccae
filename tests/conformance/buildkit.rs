//! BuildKit, in the pod's network: it sees the registry that the job sees.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use support::podman;
use tempfile::TempDir;
use test_support::eventually_or;

use crate::case::Case;
use crate::compare::Outcome;
use crate::image::Image;

/// The daemon; it ends when it is dropped.
pub(crate) struct Buildkit {
    daemon: Child,
    directory: TempDir,
}

/// A program that `scripts/lib/buildkit.sh` compiled.
fn program(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable);
    PathBuf::from(path.unwrap_or_else(|| {
        panic!("{variable} is not set: run these tests with scripts/conformance.sh")
    }))
}

impl Buildkit {
    /// Starts it beside a container.
    pub(crate) fn start(container: &str) -> Self {
        let directory = tempfile::tempdir_in("/var/tmp").unwrap();
        let pid = podman(&["inspect", "--format", "{{.State.Pid}}", container]);
        let pid = String::from_utf8_lossy(&pid.stdout).trim().to_owned();
        let log = std::fs::File::create(directory.path().join("log")).unwrap();
        let daemon = Command::new("nsenter")
            .arg(format!("--net=/proc/{pid}/ns/net"))
            .arg(program("BUILDKITD"))
            .arg("--root")
            .arg(directory.path().join("root"))
            .args(["--addr", &address(directory.path())])
            .args([
                "--containerd-worker=false",
                "--oci-worker-net=host",
                "--oci-worker-binary=runc",
            ])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let buildkit = Self { daemon, directory };
        let answers = || {
            let asked = buildkit
                .control()
                .args(["debug", "workers"])
                .output()
                .unwrap();
            asked.status.success()
        };
        let log = buildkit.directory.path().join("log");
        eventually_or("BuildKit's daemon", answers, || {
            std::fs::read_to_string(&log).unwrap()
        });
        buildkit
    }

    fn control(&self) -> Command {
        let mut command = Command::new(program("BUILDCTL"));
        command
            .args(["--addr", &address(self.directory.path())])
            .stdin(Stdio::null());
        command
    }

    /// Builds a case and pushes it under this name.
    pub(crate) fn push(&self, case: &Case, context: &Path, name: &str) {
        let output = format!("type=image,name={name},push=true");
        let built = self
            .command(case, context)
            .args(["--output", &output])
            .output()
            .unwrap();
        assert!(
            built.status.success(),
            "{}: {}",
            case.name,
            decoded(&String::from_utf8_lossy(&built.stderr))
        );
    }

    /// Builds a case.
    pub(crate) fn build(&self, case: &Case, context: &Path, archive: &Path) -> Outcome {
        let output = format!(
            "type=docker,compression=uncompressed,dest={}",
            archive.display()
        );
        let built = self
            .command(case, context)
            .args(["--output", &output])
            .output()
            .unwrap();
        let log = decoded(&String::from_utf8_lossy(&built.stderr));
        let image = built
            .status
            .success()
            .then(|| Image::read(archive).unwrap());
        let _ = std::fs::remove_file(archive);
        Outcome {
            image,
            said: said(&log),
            log,
        }
    }

    fn command(&self, case: &Case, context: &Path) -> Command {
        let mut command = self.control();
        command.current_dir(context).args([
            "build",
            "--progress=rawjson",
            "--frontend=dockerfile.v0",
        ]);
        command
            .args(["--local=context=.", "--local=dockerfile=."])
            .args(flags(case));
        command.envs(
            case.values("env")
                .filter_map(|variable| variable.split_once('=')),
        );
        command
    }
}

impl Drop for Buildkit {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.daemon.id().cast_signed());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.daemon.wait();
    }
}

fn address(directory: &Path) -> String {
    format!("unix://{}/socket", directory.display())
}

/// The case's settings as flags of `buildctl build`.
fn flags(case: &Case) -> Vec<String> {
    let mut flags = Vec::new();
    for (name, value) in &case.settings {
        match name.as_str() {
            "build-arg" => flags.push(format!("--opt=build-arg:{}", with_value(case, value))),
            "label" => flags.push(format!("--opt=label:{value}")),
            "target" | "platform" => flags.push(format!("--opt={name}={value}")),
            "file" => flags.push(format!("--opt=filename={value}")),
            "network" => flags.push(format!("--opt=force-network-mode={value}")),
            "add-host" => flags.push(format!("--opt=add-hosts={}", value.replacen(':', "=", 1))),
            "secret" => flags.push(format!("--secret={value}")),
            "no-cache" => flags.push("--no-cache".to_owned()),
            "context" => {
                let (name, directory) = value.split_once('=').unwrap();
                flags.push(format!("--opt=context:{name}=local:{name}"));
                flags.push(format!("--local={name}={directory}"));
            }
            _ => {}
        }
    }
    flags
}

/// `--build-arg NAME` takes the variable's value, as docker's client does.
fn with_value(case: &Case, argument: &str) -> String {
    let prefix = format!("{argument}=");
    let variable = case
        .values("env")
        .find(|variable| variable.starts_with(&prefix));
    variable.unwrap_or(argument).to_owned()
}

/// What steps and errors say in BuildKit's stream of JSON.
fn decoded(stream: &str) -> String {
    let mut text = String::new();
    for line in stream.lines() {
        let Ok(status) = serde_json::from_str::<Value>(line) else {
            text += &format!("{line}\n");
            continue;
        };
        for log in status["logs"].as_array().into_iter().flatten() {
            let data = log["data"].as_str().unwrap_or_default();
            text += &String::from_utf8_lossy(&STANDARD.decode(data).unwrap_or_default());
        }
        for vertex in status["vertexes"].as_array().into_iter().flatten() {
            text += vertex["error"]
                .as_str()
                .map(|error| format!("{error}\n"))
                .as_deref()
                .unwrap_or_default();
        }
    }
    text
}

/// The lines that steps mark as their own, sorted.
pub(crate) fn said(log: &str) -> Vec<String> {
    let lines = log.lines().map(|line| line.trim_end_matches('\r'));
    let mut said: Vec<_> = lines
        .filter(|line| line.starts_with("OUT"))
        .map(str::to_owned)
        .collect();
    said.sort();
    said
}

#[test]
fn flags_are_those_of_buildctl() {
    let text = "==== a\n@build-arg A=1\n@build-arg B\n@env B=2\n@context other=dir\n@add-host h:1.2.3.4\n@network none\n@no-cache\nFROM scratch\n";
    let case = &crate::case::parse(text).unwrap()[0];
    let expected = [
        "--opt=build-arg:A=1",
        "--opt=build-arg:B=2",
        "--opt=context:other=local:other",
        "--local=other=dir",
        "--opt=add-hosts=h=1.2.3.4",
        "--opt=force-network-mode=none",
        "--no-cache",
    ];
    assert_eq!(flags(case), expected);
}

#[test]
fn lines_of_steps_are_decoded() {
    let stream = "{\"logs\":[{\"data\":\"T1VUIGI=\"},{\"data\":\"Ck9VVCBhCg==\"}]}\n{\"vertexes\":[{\"error\":\"no\"}]}\nerror: x\n";
    assert_eq!(decoded(stream), "OUT b\nOUT a\nno\nerror: x\n");
    assert_eq!(said(&decoded(stream)), ["OUT a", "OUT b"]);
}
