#!/usr/bin/env bash
# Builds many Dockerfiles by `docker build` in a job and by BuildKit, and compares the images. `--help` says how.

# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/lib/kubernetes.sh
source "$ROOT/scripts/lib/kubernetes.sh"
# shellcheck source=scripts/lib/buildkit.sh
source "$ROOT/scripts/lib/buildkit.sh"

conformance_usage() {
    cat <<'HELP'
Usage: scripts/conformance.sh [--filter TEXT] [--seed SEED] [--keep DIR] [N]

Builds the written cases of tests/conformance/cases and N generated ones, twice each: by `docker build` in a job, and by
BuildKit. Compares the images' configurations and files, how the builds end, and what their steps print. Default: N is 0.
Each difference that no row of tests/conformance/differences.txt explains is printed with its case.
Installs what it needs and is missing, compiles BuildKit once, and builds the images. Needs root or sudo.

  --filter TEXT  only the written cases with TEXT in their names, and no generated one
  --seed SEED    the seed of the first generated case; the next ones follow. Default: a random one, which is printed
  --keep DIR     where the input of each case with a difference is put; default: target/conformance
  --help

Docs: docs/conformance.md.
HELP
}

COUNT=0 ONLY='' SEED=$((RANDOM * 32768 + RANDOM)) KEEP="$ROOT/target/conformance"

parse_conformance_arguments() {
    while (($#)); do
        case $1 in
            --help | -h) conformance_usage && exit ;;
            --filter) take ONLY "$@" && shift ;;
            --seed) take SEED "$@" && shift ;;
            --keep) take KEEP "$@" && shift ;;
            -*) reject_option "$1" ;;
            *) COUNT=$1 ;;
        esac
        shift
    done
    [[ $COUNT =~ ^[0-9]+$ ]] || die 64 "N is a number of generated cases, not \"$COUNT\"."
    [[ $SEED =~ ^[0-9]+$ ]] || die 64 "--seed is a number, not \"$SEED\"."
}

conformance_main() {
    local status=0
    parse_conformance_arguments "$@"
    handle_signals
    step "what this machine lacks"
    need_for_run
    need_for_buildkit
    install_missing
    require_root "running containers and BuildKit"
    engine_options
    step "toolchain"
    prepare_toolchain
    step "BuildKit"
    prepare_buildkit
    build_images
    step "compile the comparison"
    compile_comparison
    step "written cases, and $COUNT generated ones from seed $SEED"
    (cd "$ROOT/tests" && as_root env "CI_CD_AGENTS_BINARY=$CI_CD_AGENTS_BINARY" "RUNNER_IMAGE=$RUNNER_TAG" "SINGLE_IMAGE=$SINGLE_TAG" \
        "BUILDER_IMAGE=$BUILDER_TAG" "BUILDKITD=$BUILDKITD" "BUILDCTL=$BUILDCTL" "CONFORMANCE_FILTER=$ONLY" \
        "CONFORMANCE_GENERATED=$COUNT" "CONFORMANCE_SEED=$SEED" "CONFORMANCE_EVERY=1" "CONFORMANCE_KEEP=$KEEP" \
        "$PROGRAM" --nocapture docker_build_makes) </dev/null || status=$?
    ((status == 0)) || die 1 "there are differences. Their inputs are in $KEEP; the seed was $SEED."
    say "no difference (seed $SEED)."
}

# Sets PROGRAM.
compile_comparison() {
    local messages
    scratch_directory messages
    toolchain_cargo test --no-run --locked --target "$TRIPLE" --package end-to-end --test conformance --message-format json \
        >"$messages/messages" || die 70 "compiling tests/conformance failed."
    PROGRAM=$(jq -r 'select(.profile.test and .executable).executable' "$messages/messages")
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then conformance_main "$@"; fi
