//! The launcher's templates equal the output of kustomize for the overlays.

use support::manifests::kustomize;
use support::root;

use crate::manifests::overlays;

#[test]
fn the_launchers_templates_are_the_overlays() {
    for overlay in overlays() {
        let file = root().join(format!("launcher/templates/{overlay}.yaml"));
        let carried = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            carried == kustomize(&format!("k8s/overlays/{overlay}")),
            "{} is not what kustomize makes of the overlay: run scripts/generate_templates.sh",
            file.display()
        );
    }
}
