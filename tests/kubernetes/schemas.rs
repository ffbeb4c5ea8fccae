//! Strict validation: no unknown field, no wrong type, in each of the versions that are supported.

use serde_json::Value;

use support::manifests::{kustomize, parse, run_tool};

use crate::manifests::{all, in_parallel};

/// `hostUsers` is stable in 1.36 and on by default from 1.33; native sidecars are stable in 1.33.
const VERSIONS: [&str; 5] = ["1.33", "1.34", "1.35", "1.36", "1.37"];

/// Objects of operators, of which Kubernetes has no schema.
const OTHERS: [&str; 2] = ["SeccompProfile", "SecurityContextConstraints"];

/// Validates all objects in one version, and returns what was said.
fn validate(objects: &[&Value], version: &str) -> Result<String, String> {
    // JSON is YAML.
    let documents: Vec<String> = objects.iter().map(ToString::to_string).collect();
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    std::fs::write(file.path(), documents.join("\n---\n")).unwrap();
    let path = file.path().to_str().unwrap();
    let output = run_tool(
        "KUBERNETES_VALIDATE",
        &["--strict", "-k", version, path],
        "",
    );
    let said = [output.stderr, output.stdout].concat();
    let said = String::from_utf8(said).unwrap();
    let passed = said.matches(" passed for resource ").count();
    if output.status.success() && passed == objects.len() {
        return Ok(said);
    }
    let wrong = said.lines().filter(|line| !line.contains(" passed for "));
    Err(format!(
        "{version}: {}",
        wrong.collect::<Vec<_>>().join("\n")
    ))
}

#[test]
fn every_object_of_every_combination_is_valid_in_every_version() {
    let others = parse(&["k8s/seccomp", "k8s/rbac"].map(kustomize));
    let rendered = all().iter().flat_map(|rendering| &rendering.objects);
    let mut objects: Vec<&Value> = rendered.chain(others.iter().flatten()).collect();
    objects.retain(|object| !OTHERS.contains(&object["kind"].as_str().unwrap()));
    objects.sort_by_key(ToString::to_string);
    objects.dedup();
    assert!(objects.len() > 50, "{}", objects.len());
    for result in in_parallel(&VERSIONS, |version| validate(&objects, version)) {
        result.unwrap();
    }
}

#[test]
fn an_unknown_field_is_found() {
    let job = all()[0].job().to_string();
    let job = job.replacen("\"hostUsers\":", "\"hostUsrs\":", 1);
    let job: Value = serde_json::from_str(&job).unwrap();
    let said = validate(&[&job], "1.37").unwrap_err();
    assert!(said.contains("hostUsrs"), "{said}");
}
