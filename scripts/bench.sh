#!/usr/bin/env bash
# Measures speed and size against peers in the same run, as ratios. `--help` says what there is.

# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

bench_usage() {
    cat <<'HELP'
Usage: scripts/bench.sh [NAME…]

Runs the benchmarks named, or all of them. Each prints what was measured, the peer's figure in the same run, the ratio, and
the ratio that is to be reached. Exits 1 where a target was missed. Needs root; installs what it needs and is missing.

HELP
    local file
    for file in "$ROOT"/scripts/bench/*.sh; do
        # The second line of each says what it measures.
        printf '  %-10s %s\n' "$(basename "$file" .sh)" "$(sed -n '2s/^# //p' "$file")"
    done
}

bench_main() {
    local name names=() status=0
    case ${1-} in
        --help | -h) bench_usage && exit ;;
    esac
    names=("$@")
    if ((${#names[@]} == 0)); then
        for name in "$ROOT"/scripts/bench/*.sh; do names+=("$(basename "$name" .sh)"); done
    fi
    for name in "${names[@]}"; do
        [[ -f $ROOT/scripts/bench/$name.sh ]] || die 64 "there is no benchmark \"$name\"; --help lists what there is."
    done
    require_root "measuring"
    for name in "${names[@]}"; do
        say "==> $name"
        bash "$ROOT/scripts/bench/$name.sh" || status=1
    done
    return "$status"
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then bench_main "$@"; fi
