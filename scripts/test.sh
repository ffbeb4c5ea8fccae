#!/usr/bin/env bash
# Sets up what the tests need and runs them all. `--help` says how.

# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/lib/kubernetes.sh
source "$ROOT/scripts/lib/kubernetes.sh"
# shellcheck source=scripts/lib/buildkit.sh
source "$ROOT/scripts/lib/buildkit.sh"
# shellcheck source=scripts/lib/vm.sh
source "$ROOT/scripts/lib/vm.sh"
# shellcheck source=scripts/lib/prose.sh
source "$ROOT/scripts/lib/prose.sh"
# shellcheck source=scripts/lib/deny.sh
source "$ROOT/scripts/lib/deny.sh"

test_usage() {
    cat <<'HELP'
Usage: scripts/test.sh [--lint | --unit | --end-to-end | --cluster] [--refresh] [FILTER]

Lints, builds the images, and runs all tests: those of the code, of the supervisor in real PID and user namespaces, and of
whole jobs in real containers with a real registry. Installs what it needs and is missing, saying what and why.
Needs root or sudo. With FILTER only the tests with it in their names run.

  --lint             only formatting, clippy, shellcheck, cargo-deny, the words of sentences, and how crates and files depend on
                     each other
  --unit             only the tests that need no container image
  --end-to-end       only those that do
  --cluster          only those that need a Kubernetes cluster, and never otherwise: of one node, which is this machine and has
                     the images (docs/kubernetes.md says how). They make and remove namespaces, and drain the node.
                     KUBECONFIG names it; CLUSTER_SECCOMP_DIRECTORY and CLUSTER_VOLUMES are in the docs too
  --refresh          build the images from nothing: no image and no layer of an earlier build is used
  --help

Environment: CI_CD_AGENTS_BUILD=container compiles everything with Debian's own cargo in a throw-away container, as is done
where the machine has no Rust toolchain, or one too old. RUNNER_IMAGE, BASE_IMAGE: see scripts/buildme_local.sh.
HELP
}

PART=all FILTER=''

parse_test_arguments() {
    while (($#)); do
        case $1 in
            --help | -h) test_usage && exit ;;
            --lint | --unit | --end-to-end | --cluster) PART=${1#--} ;;
            --refresh) REFRESH=yes ;;
            -*) reject_option "$1" ;;
            *) FILTER=$1 ;;
        esac
        shift
    done
}

runs() { [[ $PART == all || $PART == "$1" ]]; }

need_for_tests() {
    need_for_run
    need shellcheck shellcheck "lints the scripts"
    need readelf binutils "looks into the supervisor's binary"
    need catatonit catatonit "is the init of podman run --init, which the doctor recognises"
    need strace strace "counts the supervisor's system calls while it is idle"
    need_for_kubernetes
    need_for_buildkit
    need_for_vm
    need openssl openssl "makes a certificate authority of the tests' own"
    need perl perl "is a job that handles signals"
    need unzip unzip "looks into archives"
    need newuidmap uidmap "maps subordinate ids in the tests of the wipe"
    need chattr e2fsprogs "makes files immutable in the tests of the wipe"
    need script bsdutils "gives the supervisor a terminal"
    # Debian's own: it becomes the runner's program by a link to it.
    [[ -x /usr/bin/python3 ]] || need_package python3 "is GitHub's runner and its service in the tests"
    need_package_unless links_static gcc "compiles the programs of that runner"
    need_package_unless links_static libc6-dev "compiles the programs of that runner"
    need bc bc "counts the seconds of a trial with that runner"
    need curl curl "ends that runner's service"
}

links_static() { echo 'int main(void) { return 0; }' | gcc -static -x c -o /dev/null -; }

lint() {
    local scripts
    step "lint"
    scripts=("$ROOT"/scripts/*.sh "$ROOT"/scripts/*/*.sh "$ROOT"/findings/*.sh "$ROOT/images/verify_snapshot.sh" "$ROOT"/images/common/*.sh "$ROOT/.ci/run" "$ROOT"/tests/fakes/actions-runner/bin/* "$ROOT"/tests/fakes/github-runner/*.sh "$ROOT"/tests/fakes/github-runner/*/*.sh "$ROOT"/tests/memory/vm/*.sh)
    shellcheck "${scripts[@]}" || die 1 "shellcheck found something."
    lint_prose "$ROOT"
    check_dependencies
    logged toolchain_cargo fmt --all --check || die 1 "cargo fmt --check found something."
    logged toolchain_cargo clippy --workspace --all-targets --features end-to-end/cluster,end-to-end/structure --locked \
        --target "$TRIPLE" -- -D warnings || die 1 "clippy found something."
    logged toolchain_cargo test --locked --target "$TRIPLE" --package end-to-end --features end-to-end/structure --test structure ||
        die 1 "crates, files or functions are not as CONTRIBUTING.md draws them."
}

# compile CARGO-FLAG…: sets TESTS to a line a test program: package's directory, tab, program.
compile() {
    scratch_directory MESSAGES
    logged compile_to "$MESSAGES/messages" test --no-run --locked --target "$TRIPLE" "$@" --message-format json ||
        die 70 "compiling the tests failed: $(jq -r 'select(.reason == "compiler-message").message.rendered // empty' "$MESSAGES/messages" | tail -n 40)"
    TESTS=$(jq -r 'select(.profile.test and .executable) | [(.manifest_path | rtrimstr("/Cargo.toml")), .executable] | @tsv' \
        "$MESSAGES/messages")
    [[ -n $TESTS ]] || die 70 "cargo named no test program."
}

compile_to() { toolchain_cargo "${@:2}" >"$1"; }

FAILED=() RAN=0
# The kubeconfig of the cluster that is tried, with --cluster alone: a KUBECONFIG that is just there may name one that works.
CLUSTER=

# list_tests PROGRAM: how many of its tests FILTER picks.
list_tests() { "$1" --list --format terse "${FILTER:-}" | grep -c ': test$' || true; }

# run_tests: as root, each in its package's directory, as cargo does. None is left out because another failed.
run_tests() {
    local directory program arguments=()
    [[ -z $FILTER ]] || arguments+=("$FILTER")
    while IFS=$'\t' read -r directory program; do
        say "    $(basename "$program")"
        RAN=$((RAN + $(list_tests "$program")))
        (cd "$directory" && as_root env "CI_CD_AGENTS_BINARY=$CI_CD_AGENTS_BINARY" "RUNNER_IMAGE=$RUNNER_TAG" "SINGLE_IMAGE=$SINGLE_TAG" \
            "BUILDER_IMAGE=$BUILDER_TAG" "VM_IMAGE=$VM_TAG" \
            "KUBECONFIG=$CLUSTER" "KUBECTL=${KUBECTL-}" "KUBERNETES_VALIDATE=${KUBERNETES_VALIDATE-}" "POD_SECURITY=${POD_SECURITY-}" \
            "BUILDKITD=${BUILDKITD-}" "BUILDCTL=${BUILDCTL-}" "CONFORMANCE_EVERY=$CONFORMANCE_EVERY" \
            "CONFORMANCE_GENERATED=$CONFORMANCE_GENERATED" \
            "$program" "${arguments[@]}") </dev/null || FAILED+=("$(basename "$program")")
    done <<<"$TESTS"
}

# Every second written case is built here, and a few generated ones, always the same: three minutes in all.
# scripts/conformance.sh builds all, and as many generated ones as it is asked for.
CONFORMANCE_EVERY=2 CONFORMANCE_GENERATED=20

prepare_conformance() {
    [[ docker_build_makes_the_images_of_buildkit == *"$FILTER"* ]] || return 0
    step "BuildKit"
    prepare_buildkit
}

cluster_tests() {
    [[ -s ${KUBECONFIG-} ]] || die 64 "--cluster needs KUBECONFIG: the file that names a cluster of one node, this machine."
    CLUSTER=$(readlink -f -- "$KUBECONFIG")
    step "what checks the manifests"
    prepare_kubernetes_tools
    "$KUBECTL" --kubeconfig "$CLUSTER" get --raw /readyz >/dev/null || die 69 "the cluster of $CLUSTER does not answer."
    build_images
    step "compile the tests on a cluster"
    compile --package end-to-end --package launcher --features end-to-end/cluster --test cluster
    step "tests on a cluster"
    run_tests
}

# The examples in the launcher's documentation.
run_examples() {
    say "    examples"
    logged toolchain_cargo test --doc --locked --target "$TRIPLE" --package launcher || FAILED+=("examples")
}

test_main() {
    parse_test_arguments "$@"
    handle_signals
    step "what this machine lacks"
    need_for_tests
    install_missing
    require_root "running containers and making namespaces"
    engine_options
    step "toolchain"
    prepare_toolchain
    if runs lint; then lint; fi
    if runs unit; then
        step "compile the tests of all crates"
        compile --workspace --exclude end-to-end
        step "tests of all crates"
        run_tests
        [[ -n $FILTER ]] || run_examples
    fi
    if runs end-to-end; then
        step "what checks the manifests"
        prepare_kubernetes_tools
        prepare_conformance
        build_images
        step "virtual machine"
        prepare_vm
        step "compile the tests of whole jobs"
        compile --package end-to-end
        step "tests of whole jobs"
        run_tests
    fi
    if [[ $PART == cluster ]]; then cluster_tests; fi
    step_table
    # The last lines say that no manifest was tried on a cluster.
    [[ $PART != all ]] || warn "the tests on a Kubernetes cluster, of the manifests and of the launcher, did not run: they need KUBECONFIG and --cluster."
    [[ $PART == lint ]] || ((RAN)) || die 64 "no test has \"$FILTER\" in its name."
    ((${#FAILED[@]} == 0)) || die 1 "tests failed in: ${FAILED[*]}"
    say "everything passed."
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then test_main "$@"; fi
