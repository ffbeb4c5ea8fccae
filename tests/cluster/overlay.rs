//! An overlay as a user would apply it here: in its own namespace, with this machine's images, and with small requests.

use serde_json::Value;
use support::manifests::{kustomize_own, parse};
use support::{builder_image, root, runner_image, single_image};

use crate::kubectl::{Namespace, images, kubectl};

/// All overlays.
pub(crate) fn names() -> Vec<String> {
    names_in("k8s/overlays")
}

/// All components.
pub(crate) fn components() -> Vec<String> {
    names_in("k8s/components")
}

fn names_in(directory: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root().join(directory)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// Objects of operators that this cluster does not have.
const OTHERS: [&str; 2] = ["SeccompProfile", "SecurityContextConstraints"];

/// The objects of an overlay and components in a namespace; a script is the job, or else the Job is suspended.
pub(crate) fn objects(
    overlay: &str,
    components: &[String],
    namespace: &str,
    script: Option<&str>,
) -> Vec<Value> {
    let split = overlay.contains("split");
    let mut own = format!("resources: [../../k8s/overlays/{overlay}]\nnamespace: {namespace}\n");
    if !components.is_empty() {
        own += "components:\n";
        for component in components {
            own += &format!("  - ../../k8s/components/{component}\n");
        }
    }
    let job = if split {
        runner_image()
    } else {
        single_image()
    };
    let flavored = if split { "runner" } else { "single" };
    let flavor = overlay.split('-').next().unwrap();
    let flavored = format!("{flavored}-{flavor}");
    own += &images(&[
        ("runner", runner_image()),
        ("builder", builder_image()),
        (&flavored, job),
    ]);
    own += "\npatches:\n  - {target: {kind: Job, name: runner}, path: job.yaml}\n";
    let yaml = kustomize_own(&own, &[("job.yaml", &patch(flavor, split, script))]);
    let mut objects = parse(&[yaml]).remove(0);
    objects.retain(|object| !OTHERS.contains(&object["kind"].as_str().unwrap()));
    objects
}

/// The script in place of the vendor's runner, and less of everything than the manifests ask for.
fn patch(flavor: &str, split: bool, script: Option<&str>) -> String {
    let Some(script) = script else {
        return "{apiVersion: batch/v1, kind: Job, metadata: {name: runner}, spec: {suspend: true}}".to_owned();
    };
    let less = serde_json::json!({"requests": {"cpu": "50m", "memory": "64Mi", "ephemeral-storage": "64Mi"}});
    let token = if flavor == "github" {
        "jitconfig"
    } else {
        "resource_class_token"
    };
    let mut init = vec![
        serde_json::json!({"name": "stage-runner-secrets"}),
        serde_json::json!({"name": "stage-registry-secrets"}),
    ];
    if split {
        init.push(serde_json::json!({"name": "builder", "resources": less}));
    }
    let runner = serde_json::json!({
        "name": "runner",
        "args": ["run", "--flavor=exec", "--", "bash", "-c", script],
        "env": [{"name": "SUPERVISOR_SECRETS__ENVIRONMENT", "value": format!("{{TOKEN=\"{token}\"}}")}],
        "resources": less,
    });
    serde_json::json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "runner"},
        "spec": {"template": {"spec": {"initContainers": init, "containers": [runner]}}},
    })
    .to_string()
}

/// A list that `kubectl apply` takes.
pub(crate) fn list(objects: &[Value]) -> String {
    serde_json::json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string()
}

/// Applies objects, the namespace before what is in it, and the Secrets that a job needs before the job.
pub(crate) fn apply(namespace: &Namespace, objects: &[Value]) {
    let (first, then): (Vec<Value>, Vec<Value>) = objects
        .iter()
        .cloned()
        .partition(|object| object["kind"] == "Namespace");
    kubectl(&["apply", "--filename=-"], &list(&first));
    for (name, literal) in [
        ("github", "jitconfig=a-token-of-the-runners-own"),
        (
            "circleci",
            "resource_class_token=a-token-of-the-runners-own",
        ),
    ] {
        let literal = format!("--from-literal={literal}");
        namespace.kubectl(&["create", "secret", "generic", name, &literal], "");
    }
    let registry = [
        "create",
        "secret",
        "docker-registry",
        "registry",
        "--docker-server=registry.example",
        "--docker-username=x",
        "--docker-password=y",
    ];
    namespace.kubectl(&registry, "");
    kubectl(&["apply", "--filename=-"], &list(&then));
}
