#!/usr/bin/env bash
# What GitHub's runner on the volume adds to the start: its program is copied there, its node is linked.

# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=scripts/lib/bench.sh
source "$ROOT/scripts/lib/bench.sh"

RUNS=${BENCH_RUNS:-5}
# As large as the vendor's bin, in about as many files.
FILES=230
FILE_SIZE=480000

main() {
    local volume
    build_supervisor
    handle_signals
    scratch_directory IMAGES
    make_image "$IMAGES/full" "$FILES"
    make_image "$IMAGES/small" 1
    printf '%-28s %12s %12s %12s\n' "volume on" "107 MB in ms" "2 files in ms" "added in ms"
    for volume in "${BENCH_DISK:-/var/tmp}" /dev/shm; do compare "$volume"; done
}

# make_image DIRECTORY FILES: makes FILES files and a runner that ends at once.
make_image() {
    local i
    mkdir -p "$1/bin" "$1/externals"
    cp -- "$(type -P false)" "$1/bin/Runner.Listener"
    chmod 0755 "$1/bin/Runner.Listener"
    for ((i = 0; i < $2; i++)); do head -c "$FILE_SIZE" /dev/urandom >"$1/bin/$i.dll"; done
}

# compare DIRECTORY: the medians of both, in turns.
compare() {
    local full=() small=() run a b
    for ((run = 0; run <= RUNS; run++)); do
        a=$(runner_step "$IMAGES/full" "$1")
        b=$(runner_step "$IMAGES/small" "$1")
        # The first warms the caches.
        ((run == 0)) || full+=("$a") small+=("$b")
    done
    a=$(median "${full[@]}") b=$(median "${small[@]}")
    printf '%-28s %12s %12s %12s\n' "$1 ($(stat -f -c %T "$1"))" "$a" "$b" "$(jq -n "$a - $b | round")"
}

# runner_step IMAGE DIRECTORY: the milliseconds of the report's step "runner".
runner_step() {
    local TMPDIR=$2 directory secrets
    directory=$(mktemp -d "$TMPDIR/ci-cd-agents.XXXXXXXX")
    secrets=$(mktemp -d /dev/shm/ci-cd-agents.XXXXXXXX)
    jq -nr '{".runner": ("{}" | @base64), ".credentials": ("{}" | @base64)} | tostring | @base64' >"$secrets/jitconfig"
    { SUPERVISOR_GITHUB__DIRECTORY=$1 SUPERVISOR_RUNTIME_DIRECTORY=$directory/run "$CI_CD_AGENTS_BINARY" run --flavor github --no-preflight --storage-driver none --workspace "$directory/workspace" \
        --secrets "$secrets" --report-file "$directory/none" --log-level error 2>/dev/null || true; } |
        jq 'select(.steps) | .steps[] | select(.step == "runner") | .ms'
    rm -rf -- "$directory" "$secrets"
}

main "$@"
