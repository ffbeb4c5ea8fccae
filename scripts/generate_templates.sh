#!/usr/bin/env bash
# Renders k8s/overlays into launcher/templates, which the launcher carries. Run it after each change of k8s/.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
KUBECTL=${KUBECTL:-kubectl}

main() {
    local overlay name
    rm -f -- launcher/templates/*.yaml
    for overlay in k8s/overlays/*/; do
        name=$(basename "$overlay")
        "$KUBECTL" kustomize "$overlay" >"launcher/templates/$name.yaml"
    done
    echo "launcher/templates: $(find launcher/templates -name '*.yaml' | wc -l) rendered"
}

main "$@"
