# shellcheck shell=bash
# Clean-up on every way out, and long commands that show that they are alive.

CLEANUPS=()
CHILD=

# on_exit COMMAND ARGUMENT…: runs on every way out but SIGKILL, the last registered first.
on_exit() {
    local quoted
    printf -v quoted '%q ' "$@"
    CLEANUPS+=("$quoted")
}

run_cleanups() {
    local status=$? i
    # A second Ctrl-C must not leave half of it undone.
    trap '' INT TERM HUP
    trap - EXIT
    stop_child
    for ((i = ${#CLEANUPS[@]} - 1; i >= 0; i--)); do
        eval "${CLEANUPS[i]}" >/dev/null || warn "clean-up failed: ${CLEANUPS[i]}"
    done
    exit "$status"
}

# The whole group of a long command, so that nothing it started goes on without us.
stop_child() {
    local attempt
    [[ -n $CHILD ]] || return 0
    as_root kill -TERM -- "-$CHILD" 2>/dev/null || return 0
    for attempt in {1..100}; do
        as_root kill -0 -- "-$CHILD" 2>/dev/null || break
        ((attempt < 100)) || as_root kill -KILL -- "-$CHILD" 2>/dev/null || true
        sleep 0.1
    done
    wait "$CHILD" 2>/dev/null || true
}

handle_signals() {
    trap run_cleanups EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

# scratch_directory VARIABLE: a private directory that is gone when the script ends.
scratch_directory() {
    local -n scratch_result=$1
    scratch_result=$(mktemp -d "${TMPDIR:-/tmp}/ci-cd-agents.XXXXXXXX")
    on_exit as_root rm -rf --one-file-system -- "$scratch_result"
}

# logged COMMAND ARGUMENT…: runs a long command; shows that it is alive while it runs, and its output only if it fails.
# It runs in the background because bash handles a signal during `wait`, but not during a foreground command.
logged() {
    local log status=0
    log=$(mktemp "${TMPDIR:-/tmp}/ci-cd-agents.log.XXXXXXXX")
    on_exit rm -f -- "$log"
    # In a group of its own, which ends as a whole.
    set -m
    "$@" >"$log" 2>&1 </dev/null &
    CHILD=$!
    set +m
    follow_child "$log"
    wait "$CHILD" || status=$?
    CHILD=
    if ((status)); then
        say "    failed with status $status: $1 ${2-} …; its last lines:"
        tail -n 40 -- "$log" | sed 's/^/    | /' >&2
    fi
    rm -f -- "$log"
    return "$status"
}

# On a terminal the last line of the log, rewritten in place; elsewhere a line every 20 seconds.
follow_child() {
    local log=$1 ticks=0 last
    while [[ -e /proc/$CHILD ]]; do
        sleep 0.2
        ticks=$((ticks + 1))
        if [[ -t 2 ]]; then
            last=$(tail -n 1 -- "$log" | tr -cd '[:print:]' | cut -c -100)
            printf '\r\033[K    %s' "$last" >&2
        elif ((ticks % 100 == 0)); then
            say "    … $((ticks / 5)) s: $(tail -n 1 -- "$log" | tr -cd '[:print:]' | cut -c -100)"
        fi
    done
    if [[ -t 2 ]]; then printf '\r\033[K' >&2; fi
}
