#!/usr/bin/env bash
# What GitHub's runner on the volume adds to the start: six files of its program are copied there, all else is linked.
#
# BENCH_BEFORE names the binary of an earlier build: it runs in turns with this one, and this one may take a tenth of its time.

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
    need jq jq "reads the reports"
    install_missing
    build_supervisor
    handle_signals
    scratch_directory IMAGES
    make_image "$IMAGES/full" "$FILES"
    make_image "$IMAGES/small" 1
    printf '%-28s %12s %12s %12s %12s\n' "volume on" "107 MB in ms" "2 files in ms" "added in ms" "before in ms"
    for volume in "${BENCH_DISK:-/var/tmp}" /dev/shm; do compare "$volume"; done
    summary
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
    local full=() small=() before=() run a b c=-
    for ((run = 0; run <= RUNS; run++)); do
        a=$(runner_step "$CI_CD_AGENTS_BINARY" "$IMAGES/full" "$1")
        b=$(runner_step "$CI_CD_AGENTS_BINARY" "$IMAGES/small" "$1")
        if [[ ${BENCH_BEFORE-} ]]; then c=$(runner_step "$BENCH_BEFORE" "$IMAGES/full" "$1"); fi
        # The first warms the caches.
        ((run == 0)) || full+=("$a") small+=("$b") before+=("$c")
    done
    a=$(median "${full[@]}") b=$(median "${small[@]}") c=$(median "${before[@]}")
    printf '%-28s %12s %12s %12s %12s\n' "$1 ($(stat -f -c %T "$1"))" "$a" "$b" "$(calculate "$a - $b")" "$c"
    if [[ $c != - ]]; then check "$1, as a ratio to the earlier build" "$(calculate "$a / $c")" 0.1; fi
}

# runner_step BINARY IMAGE DIRECTORY: the milliseconds of the report's step "runner".
runner_step() {
    local TMPDIR=$3 directory secrets
    directory=$(mktemp -d "$TMPDIR/ci-cd-agents.XXXXXXXX")
    secrets=$(mktemp -d /dev/shm/ci-cd-agents.XXXXXXXX)
    jq -nr '{".runner": ("{}" | @base64), ".credentials": ("{}" | @base64)} | tostring | @base64' >"$secrets/jitconfig"
    { SUPERVISOR_GITHUB__DIRECTORY=$2 SUPERVISOR_RUNTIME_DIRECTORY=$directory/run "$1" run --flavor github --no-preflight --storage-driver none --workspace "$directory/workspace" \
        --secrets "$secrets" --report-file "$directory/none" --log-level error 2>/dev/null || true; } |
        jq 'select(.steps) | .steps[] | select(.step == "runner") | .ms'
    rm -rf -- "$directory" "$secrets"
}

main "$@"
