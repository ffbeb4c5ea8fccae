//! Rendering the overlays.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use support::root;

/// Flavors, shapes and profiles: each combination is an overlay.
pub(crate) const FLAVORS: [&str; 2] = ["github", "circleci"];
pub(crate) const SHAPES: [&str; 2] = ["single", "split"];
pub(crate) const PROFILES: [&str; 2] = ["userns", "rootless"];

/// An overlay, by what it is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Overlay {
    pub(crate) flavor: &'static str,
    pub(crate) shape: &'static str,
    pub(crate) profile: &'static str,
}

/// All overlays.
pub(crate) fn overlays() -> Vec<Overlay> {
    let mut all = Vec::new();
    for flavor in FLAVORS {
        for shape in SHAPES {
            all.extend(PROFILES.map(|profile| Overlay {
                flavor,
                shape,
                profile,
            }));
        }
    }
    all
}

impl Overlay {
    pub(crate) fn name(self) -> String {
        format!("{}-{}-{}", self.flavor, self.shape, self.profile)
    }

    /// What `kubectl apply -k` would send, as YAML.
    pub(crate) fn yaml(self) -> String {
        kustomize(&format!("k8s/overlays/{}", self.name()))
    }

    /// The same, an object each.
    pub(crate) fn objects(self) -> Vec<Value> {
        objects(&self.yaml())
    }

    /// Its Job.
    pub(crate) fn job(self) -> Value {
        let objects = self.objects();
        let mut jobs = objects.into_iter().filter(|object| object["kind"] == "Job");
        let job = jobs.next().unwrap();
        assert!(jobs.next().is_none());
        job
    }

    /// Its pod's specification.
    pub(crate) fn pod(self) -> Value {
        self.job()["spec"]["template"]["spec"].take()
    }
}

/// All containers of a pod, init containers first.
pub(crate) fn containers(pod: &Value) -> Vec<&Value> {
    let of = |key: &str| pod[key].as_array().into_iter().flatten();
    of("initContainers").chain(of("containers")).collect()
}

pub(crate) fn kustomize(directory: &str) -> String {
    let output = run("KUBECTL", &["kustomize", directory], None);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{directory}: {said}");
    assert!(said.is_empty(), "{directory}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// The objects of a YAML stream, read by the parser that kubernetes-validate brings along.
pub(crate) fn objects(yaml: &str) -> Vec<Value> {
    let script = "import json, sys, yaml\nprint(json.dumps([d for d in yaml.safe_load_all(sys.stdin) if d]))";
    let python = tool("KUBERNETES_VALIDATE").with_file_name("python");
    let output = pipe(Command::new(python).args(["-c", script]), yaml);
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A tool that `scripts/test.sh` installed.
pub(crate) fn tool(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable);
    path.unwrap_or_else(|| panic!("{variable} is not set: run these tests with scripts/test.sh"))
        .into()
}

pub(crate) fn run(variable: &str, arguments: &[&str], input: Option<&str>) -> Output {
    let mut command = Command::new(tool(variable));
    command.args(arguments).current_dir(root());
    pipe(&mut command, input.unwrap_or_default())
}

fn pipe(command: &mut Command, input: &str) -> Output {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), input).unwrap();
    let output = command.stdin(file.reopen().unwrap()).output();
    output.unwrap_or_else(|error| panic!("{command:?}: {error}"))
}
