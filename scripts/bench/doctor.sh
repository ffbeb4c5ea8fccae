#!/usr/bin/env bash
# The doctor beside one small build by buildah alone, and what the checks before each job add to its start.

# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=scripts/lib/bench.sh
source "$ROOT/scripts/lib/bench.sh"

# Runs of each, in turns, of which the median counts.
RUNS=${BENCH_RUNS:-15}
ALL_LIMIT=2000
PREFLIGHT_LIMIT=150

# Within the container of a job: prints the milliseconds of each, a line a run.
# shellcheck disable=SC2016 # expanded in the container
MEASURE='
    ms() {
        local began=$EPOCHREALTIME
        "$@" >/tmp/said 2>&1 || { cat /tmp/said >&2; exit 1; }
        printf "%s " $(((${EPOCHREALTIME/./} - ${began/./}) / 1000))
    }
    build() {
        supervisor run --flavor exec --no-preflight -- bash -c "
            cp /usr/local/bin/supervisor . && printf \"FROM scratch\nCOPY --chown=33:33 supervisor /supervisor\nRUN [\\\"/supervisor\\\", \\\"--version\\\"]\n\" >Containerfile &&
            buildah build --quiet --no-cache --network host ."
    }
    for ((run = 0; run <= $1; run++)); do
        ms supervisor doctor
        ms build
        ms supervisor run --flavor exec -- true
        ms supervisor run --flavor exec --no-preflight -- true
        echo
    done'

main() {
    local times all build with without
    need jq jq "reckons"
    need_for_build podman
    install_missing
    require_root "running containers"
    handle_signals
    engine_options
    build_images
    # The first run warms the caches.
    times=$(in_a_pod bash -c "$MEASURE" bash "$RUNS" | tail -n +2)
    all=$(column 1) build=$(column 2) with=$(column 3) without=$(column 4)
    say "    $(nproc) cores; medians of $RUNS runs each, in a container with the rights of the profile rootless"
    printf '%-44s %9s %9s\n' what median target
    row "all checks, the build among them" "$all" "$ALL_LIMIT"
    row "what those before a job add to its start" $((with - without)) "$PREFLIGHT_LIMIT"
    printf '%-44s %9s\n' "the same build as a job, without the doctor" "$build ms" \
        "ratio of all checks to it" "$(jq -n "$all / $build * 100 | round / 100")"
    summary
}

# in_a_pod PROGRAM ARGUMENT…
in_a_pod() {
    engine run --rm --network none "${LIMIT_FLAGS[@]}" "${SECURITY_FLAGS[@]}" --user 1000:1000 --cap-drop all --cap-add SETUID \
        --cap-add SETGID --security-opt "seccomp=$ROOT/k8s/seccomp/buildah.json" \
        --mount type=tmpfs,destination=/run/supervisor,tmpfs-mode=0700,U=true \
        --volume /workspace --tmpfs /tmp --entrypoint "$1" "$SINGLE_TAG" "${@:2}"
}

# column NUMBER: its median.
column() {
    local cells
    mapfile -t cells < <(cut -d ' ' -f "$1" <<<"$times")
    median "${cells[@]}"
}

# row WHAT MS LIMIT
row() {
    printf '%-44s %9s %9s\n' "$1" "$2 ms" "$3 ms"
    (($2 < $3)) || MISSED=$((MISSED + 1))
}

main "$@"
