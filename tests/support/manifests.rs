//! Rendering manifests as `kubectl apply -k` would send them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::root;

/// A tool that `scripts/test.sh` installed.
#[must_use]
pub fn tool(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable);
    path.unwrap_or_else(|| panic!("{variable} is not set: run these tests with scripts/test.sh"))
        .into()
}

/// Runs such a tool in the repository's root.
#[must_use]
pub fn run_tool(variable: &str, arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(tool(variable));
    command.args(arguments).current_dir(root());
    pipe(&mut command, input)
}

/// The YAML of a kustomization.
#[must_use]
pub fn kustomize(directory: &str) -> String {
    let output = run_tool("KUBECTL", &["kustomize", directory], "");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{directory}: {said}");
    assert!(said.is_empty(), "{directory}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// A kustomization of a user's own, whose paths begin with `../../` for the repository's root.
#[must_use]
pub fn kustomize_own(text: &str, others: &[(&str, &str)]) -> String {
    let target = root().join("target");
    std::fs::create_dir_all(&target).unwrap();
    let own = tempfile::tempdir_in(&target).unwrap();
    let write = |name: &str, text: &str| std::fs::write(own.path().join(name), text).unwrap();
    write("kustomization.yaml", text);
    for (name, text) in others {
        write(name, text);
    }
    kustomize(&own.path().display().to_string())
}

/// The objects of YAML streams, read by the parser that kubernetes-validate brings along.
#[must_use]
pub fn parse(streams: &[String]) -> Vec<Vec<Value>> {
    let script = "import json, sys, yaml\nload = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)\n\
        print(json.dumps([[d for d in yaml.load_all(s, load) if d] for s in json.load(sys.stdin)]))";
    let python = tool("KUBERNETES_VALIDATE").with_file_name("python");
    let input = serde_json::to_string(streams).unwrap();
    let output = pipe(Command::new(python).args(["-c", script]), &input);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// All containers of a pod, init containers first.
#[must_use]
pub fn containers(pod: &Value) -> Vec<&Value> {
    let of = |key: &str| pod[key].as_array().into_iter().flatten();
    of("initContainers").chain(of("containers")).collect()
}

/// The seccomp profile that a container names, as a file that podman reads.
#[must_use]
pub fn seccomp_file(profile: &Value, scratch: &Path) -> PathBuf {
    match profile["type"].as_str() {
        Some("Localhost") => {
            let name = profile["localhostProfile"].as_str().unwrap();
            root().join("k8s/seccomp").join(name)
        }
        Some("RuntimeDefault") => default_seccomp(scratch),
        other => panic!("no seccomp profile is called {other:?} here"),
    }
}

/// As `scripts/runme_local.sh` makes it.
fn default_seccomp(scratch: &Path) -> PathBuf {
    let file = scratch.join("default-seccomp.json");
    if !file.exists() {
        let script = "source scripts/lib.sh; SECCOMP_PROFILE=k8s/seccomp/buildah.json; \
            source scripts/runme/job.sh; default_seccomp >\"$1\"";
        let mut command = Command::new("bash");
        command.args(["-c", script, "bash"]).arg(&file);
        assert!(command.current_dir(root()).status().unwrap().success());
    }
    file
}

fn pipe(command: &mut Command, input: &str) -> Output {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), input).unwrap();
    let output = command.stdin(file.reopen().unwrap()).output();
    output.unwrap_or_else(|error| panic!("{command:?}: {error}"))
}
