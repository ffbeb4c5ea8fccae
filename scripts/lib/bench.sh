# shellcheck shell=bash
# Arithmetic of the benchmarks, and the targets that were missed. Each benchmark prints its own table.

# Targets missed so far; a benchmark's exit code follows from it.
MISSED=0

# median NUMBER…: of an odd count; of an even one, the lower of the two in the middle.
median() { printf '%s\n' "$@" | sort -n | sed -n "$((($# + 1) / 2))p"; }

# calculate EXPRESSION [DIGITS]
calculate() { awk "BEGIN { printf \"%.${2:-2}f\", $1 }"; }

# check WHAT FOUND AT-MOST
check() {
    if awk "BEGIN { exit !($2 > $3) }"; then
        say "    missed: $1: $2, to reach: $3"
        MISSED=$((MISSED + 1))
    fi
}

# Says how many targets were missed; the benchmark ends with its status.
summary() {
    ((!MISSED)) || say "    $MISSED targets were missed."
    return $((MISSED > 0))
}
