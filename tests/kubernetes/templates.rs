//! What the launcher carries is what kustomize makes of the overlays.

use support::root;

use crate::manifests::{kustomize, overlays};
use crate::schemas::validate;

#[test]
fn the_launchers_templates_are_the_overlays() {
    for overlay in overlays() {
        let file = root()
            .join("launcher/templates")
            .join(format!("{}.yaml", overlay.name()));
        let carried = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            carried == overlay.yaml(),
            "{} is not what kustomize makes of the overlay: run scripts/generate_templates.sh",
            file.display()
        );
    }
}

#[test]
fn the_launchers_roles_are_valid() {
    validate("rbac", &kustomize("k8s/rbac"), 6);
}
