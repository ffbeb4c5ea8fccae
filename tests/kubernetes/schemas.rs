//! Strict validation: no unknown field, no wrong type, in each of the versions that are supported.

use crate::manifests::{kustomize, overlays, run};

/// `hostUsers` is stable in 1.36 and on by default from 1.33; native sidecars are stable in 1.33.
const VERSIONS: [&str; 5] = ["1.33", "1.34", "1.35", "1.36", "1.37"];

pub(crate) fn validate(name: &str, yaml: &str, objects: usize) {
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    std::fs::write(file.path(), yaml).unwrap();
    for version in VERSIONS {
        let path = file.path().to_str().unwrap();
        let output = run(
            "KUBERNETES_VALIDATE",
            &["--strict", "-k", version, path],
            None,
        );
        let said =
            String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{name}, {version}: {said}");
        assert_eq!(
            said.matches(" passed for resource ").count(),
            objects,
            "{name}: {said}"
        );
    }
}

#[test]
fn every_overlay_is_valid_in_every_version() {
    for overlay in overlays() {
        validate(&overlay.name(), &overlay.yaml(), overlay.objects().len());
    }
}

#[test]
fn an_unknown_field_is_found() {
    let yaml = kustomize("k8s/overlays/github-single-userns");
    let yaml = yaml.replacen("hostUsers:", "hostUsrs:", 1);
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    std::fs::write(file.path(), yaml).unwrap();
    let path = file.path().to_str().unwrap();
    let output = run(
        "KUBERNETES_VALIDATE",
        &["--strict", "-k", "1.37", path],
        None,
    );
    assert!(!output.status.success());
}
