#!/usr/bin/env bash
# The launcher against APIs that take 20 ms to answer: launches a second, memory, requests a job; and rendering.

# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=scripts/lib/bench.sh
source "$ROOT/scripts/lib/bench.sh"

JOBS=${BENCH_JOBS:-1000}
LATENCY=20
RATE=50
MEMORY_LIMIT=61440
REQUESTS=4
RENDER_LIMIT=20
RENDERS=21

main() {
    need time time "tells how much memory a command had"
    need jq jq "reckons"
    install_missing
    prepare_toolchain
    handle_signals
    scratch_directory SCENE
    build
    start_apis
    say "    $JOBS launches, 16 at once, each answer after $LATENCY ms; $(nproc) cores"
    printf '%-44s %9s %9s\n' what measured target
    launches
    rendering
    summary
}

build() {
    logged toolchain_cargo build --release --locked --package launcher --package fake-apis --bin launcher --bin fake-apis --target "$TRIPLE" ||
        die 70 "compiling the launcher failed."
    LAUNCHER="$TARGET_DIRECTORY/$TRIPLE/release/launcher"
    APIS="$TARGET_DIRECTORY/$TRIPLE/release/fake-apis"
}

# Sets GITHUB and KUBECONFIG; the fakes end with their input.
start_apis() {
    local kubernetes
    coproc FAKES { exec "$APIS" "$LATENCY"; }
    read -r GITHUB kubernetes <&"${FAKES[0]}" || die 70 "the fakes did not start."
    cat >"$SCENE/kubeconfig" <<YAML
apiVersion: v1
kind: Config
current-context: bench
clusters: [{name: c, cluster: {server: '$kubernetes'}}]
contexts: [{name: bench, context: {cluster: c, user: u}}]
users: [{name: u, user: {token: t}}]
YAML
}

launch() {
    env -i KUBECONFIG="$SCENE/kubeconfig" GITHUB_TOKEN=github_pat_test LAUNCHER_REGISTRY=registry.example/ci \
        "$(command -v time)" --format '%e %M' --output "$SCENE/time" -- "$LAUNCHER" "$@"
}

launches() {
    local seconds kibibytes requests started input=${FAKES[1]} asked="$SCENE/asked"
    launch launch --flavor github --repo octo/cat --github-url "$GITHUB" --id bench --count "$JOBS" >"$SCENE/launched" ||
        die 70 "the launches failed: $(tail -n 3 "$SCENE/launched")"
    read -r seconds kibibytes <"$SCENE/time"
    exec {input}>&-
    cat <&"${FAKES[0]}" >"$asked"
    read -r _ requests started <"$asked"
    ((started == JOBS)) || die 70 "$started of $JOBS jobs were started."
    row "launches a second" "$(jq -n "$JOBS / $seconds | floor")" ">= $RATE" "$JOBS / $seconds >= $RATE"
    row "most memory, KiB" "$kibibytes" "< $MEMORY_LIMIT" "$kibibytes < $MEMORY_LIMIT"
    row "requests to Kubernetes a job" "$(jq -n "$requests / $JOBS")" "<= $REQUESTS" "$requests / $JOBS <= $REQUESTS"
}

rendering() {
    local run before after times=() median
    for ((run = 0; run < RENDERS; run++)); do
        before=${EPOCHREALTIME/[.,]/}
        "$LAUNCHER" render --flavor github --registry registry.example/ci --id bench >"$SCENE/rendered" 2>&1
        after=${EPOCHREALTIME/[.,]/}
        times+=($((after - before)))
    done
    median=$(median "${times[@]}")
    row "render, ms" "$(jq -n "$median / 1000")" "< $RENDER_LIMIT" "$median / 1000 < $RENDER_LIMIT"
}

# row TITLE MEASURED TARGET CONDITION
row() {
    printf '%-44s %9s %9s\n' "$1" "$2" "$3"
    [[ $(jq -n "$4") == true ]] || MISSED=$((MISSED + 1))
}

main "$@"
