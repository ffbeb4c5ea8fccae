//! Calls of kubectl, and the set-up that all tests share.

use std::sync::{LazyLock, RwLock};

use serde_json::Value;
use support::manifests::{kustomize_own, run_tool};
use support::runner_image;

/// Drained nodes take no pods: a test that drains has the node alone.
pub(crate) static NODE: RwLock<()> = RwLock::new(());

/// Runs kubectl, which must succeed, and gives what it printed.
pub(crate) fn kubectl(arguments: &[&str], input: &str) -> String {
    attempt(arguments, input).unwrap_or_else(|said| panic!("kubectl {arguments:?}: {said}"))
}

/// The same where it may fail.
pub(crate) fn attempt(arguments: &[&str], input: &str) -> Result<String, String> {
    let output = run_tool("KUBECTL", arguments, input);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&[output.stdout, output.stderr].concat()))
    }
}

pub(crate) fn get(arguments: &[&str]) -> Value {
    let command = [&["get", "--output=json"], arguments].concat();
    serde_json::from_str(&kubectl(&command, "")).unwrap()
}

/// A setting of whoever runs this.
pub(crate) fn setting(variable: &str, default: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| default.to_owned())
}

/// A namespace that is made anew, and removed in the end.
pub(crate) struct Namespace(pub(crate) String);

impl Namespace {
    pub(crate) fn new(name: &str) -> Self {
        let name = format!("test-{name}");
        kubectl(
            &["delete", "namespace", &name, "--ignore-not-found", "--wait"],
            "",
        );
        Self(name)
    }

    /// kubectl within it.
    pub(crate) fn kubectl(&self, arguments: &[&str], input: &str) -> String {
        let namespace = format!("--namespace={}", self.0);
        kubectl(&[&[namespace.as_str()], arguments].concat(), input)
    }

    pub(crate) fn get(&self, arguments: &[&str]) -> Value {
        let namespace = format!("--namespace={}", self.0);
        get(&[&[namespace.as_str()], arguments].concat())
    }

    /// Describes the namespace's objects and logs, for the message of a failed test.
    pub(crate) fn describe(&self) -> String {
        let events = ["get", "events", "--sort-by=.lastTimestamp"];
        let state = self.kubectl(&["describe", "jobs,pods,pvc"], "");
        let logs = [
            "logs",
            "--selector=app.kubernetes.io/component=runner",
            "--all-containers",
            "--tail=40",
            "--prefix",
        ];
        format!(
            "{state}\n{}\n{}",
            self.kubectl(&events, ""),
            self.kubectl(&logs, "")
        )
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = attempt(
            &[
                "delete",
                "namespace",
                &self.0,
                "--ignore-not-found",
                "--wait=false",
            ],
            "",
        );
    }
}

/// The node has the seccomp profile, brought by the project's own DaemonSet.
pub(crate) fn node_has_the_profile() {
    static DONE: LazyLock<()> = LazyLock::new(|| {
        let directory = setting("CLUSTER_SECCOMP_DIRECTORY", "/var/lib/kubelet/seccomp");
        let own = format!(
            "resources: [../../k8s/seccomp]\n{}\npatches:\n  - target: {{kind: DaemonSet}}\n    patch: |\n      - {{op: replace, path: /spec/template/spec/volumes/1/hostPath/path, value: {directory}}}\n",
            images(&[("runner", runner_image())])
        );
        kubectl(&["apply", "--filename=-"], &kustomize_own(&own, &[]));
        let set = [
            "--namespace=ci-cd-agents-node",
            "rollout",
            "status",
            "daemonset/seccomp-profile",
            "--timeout=120s",
        ];
        kubectl(&set, "");
        // The node is this machine.
        let kept = std::fs::read(format!("{directory}/buildah.json")).unwrap();
        assert_eq!(
            kept,
            std::fs::read(support::root().join("k8s/seccomp/buildah.json")).unwrap()
        );
    });
    *DONE;
}

/// The field `images` of a kustomization.
pub(crate) fn images(of: &[(&str, String)]) -> String {
    let mut text = "images:".to_owned();
    for (name, image) in of {
        let (image, tag) = image.rsplit_once(':').unwrap();
        text += &format!("\n  - {{name: ci-cd-agents/{name}, newName: {image}, newTag: {tag}}}");
    }
    text
}
