# shellcheck shell=bash
# What the scripts say: messages on stderr, and steps that are timed.

say() { printf '%s\n' "$*" >&2; }
warn() { printf 'warning: %s\n' "$*" >&2; }

# die STATUS SENTENCE
die() {
    local status=$1
    shift
    printf 'error: %s\n' "$*" >&2
    exit "$status"
}

STEP_TITLES=()
STEP_MILLISECONDS=()
STEP_STARTED=0

now_milliseconds() {
    # The separator follows the locale's decimal point.
    echo $((${EPOCHREALTIME/[.,]/} / 1000))
}

# step TITLE: ends the step before it and starts the next.
step() {
    step_end
    STEP_TITLES+=("$1")
    STEP_STARTED=$(now_milliseconds)
    say "==> $1"
}

step_end() {
    ((STEP_STARTED)) || return 0
    STEP_MILLISECONDS+=($(($(now_milliseconds) - STEP_STARTED)))
    STEP_STARTED=0
}

# The table of steps, a line each: seconds, title.
step_table() {
    step_end
    local i
    for i in "${!STEP_TITLES[@]}"; do
        duration_line "${STEP_MILLISECONDS[i]}" "${STEP_TITLES[i]}"
    done
}

# duration_line MILLISECONDS TITLE
duration_line() {
    printf '  %6d.%03d s  %s\n' $(($1 / 1000)) $(($1 % 1000)) "$2" >&2
}
