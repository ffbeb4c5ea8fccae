#!/usr/bin/env bash
# The memory guard against the kernel: who is first, what it costs at rest, how soon a killed step has ended.
#
# Everything that takes memory runs in a container with a limit, and without swap.

# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=scripts/lib/bench.sh
source "$ROOT/scripts/lib/bench.sh"

# Tries at each limit, half of them with one thread and half with eight. One in 200 may be the kernel's.
TRIES=${BENCH_TRIES:-200}
# Seconds of each measurement at rest.
AT_REST=${BENCH_REST:-10}
NAME=ci-cd-agents-bench-memory-$$

main() {
    need jq jq "reads the reports"
    need_for_build podman
    install_missing
    require_root "running containers"
    handle_signals
    engine_options
    build_images
    prepare_toolchain
    logged toolchain_cargo build --release --locked --package end-to-end --bin memory-hog --target "$TRIPLE" ||
        die 70 "compiling the program that takes memory failed."
    HOG="$TARGET_DIRECTORY/$TRIPLE/release/memory-hog"
    on_exit remove_container
    # If the kernel kills a process, conmon writes a file into the working directory.
    scratch_directory WORK
    cd "$WORK"
    say "    $(nproc) cores; containers with a limit, the guard on"
    printf '%-58s %10s %10s\n' what found target
    first_at 256
    first_at 1024
    first_at 4096
    # Below 75 % of the limit, and in the last 64 MiB.
    rest_at 1024 700 0.1
    rest_at 4096 2900 0.1
    rest_at 1024 970 3
    summary
}

remove_container() { engine rm --force --ignore "$NAME" >/dev/null 2>&1; }

# guarded MIB FLAG… -- SCRIPT: the report of a job in a container with that limit.
guarded() {
    local mebibytes=$1 flags=()
    shift
    while [[ $1 != -- ]]; do flags+=("$1") && shift; done
    engine run "${flags[@]}" --name "$NAME" --network none "${LIMIT_FLAGS[@]}" --memory "${mebibytes}m" --memory-swap "${mebibytes}m" \
        --volume "$HOG:/hog:ro" --env SUPERVISOR_MEMORY__GUARD=on "$RUNNER_TAG" run --flavor exec --no-preflight \
        --storage-driver none -- bash -c "$2"
}

# row WHAT FOUND TARGET [UNIT]
row() { printf '%-58s %10s %10s\n' "$1" "$2${4-}" "$3${4-}"; }

# first_at MIB: how often the guard was first, and the time from its kill to the end of the step.
first_at() {
    local try threads report won=0 times=() least=$((TRIES - TRIES / 200))
    for ((try = 0; try < TRIES; try++)); do
        threads=$((try % 2 ? 8 : 1))
        # The log has the moment of the kill, and the step the moment of its end.
        report=$(guarded "$1" --rm --env SUPERVISOR_LOG__FORMAT=json -- \
            "/hog threads $threads 100000; echo \"ended \$EPOCHREALTIME\"" 2>&1) || true
        if [[ $(jq -R 'fromjson? | select(.schema?).memory | .supervisor_kills >= 1 and .kernel_kills == 0' <<<"$report") == true ]]; then
            won=$((won + 1))
        fi
        times+=("$(between "$report")")
    done
    row "limit of $1 MiB: the guard is first, of $TRIES" "$won" "$least"
    check "guard first at $1 MiB (missed tries)" $((TRIES - won)) $((TRIES - least))
    row "limit of $1 MiB: from the kill to the end of the step" "$(median "${times[@]}")" 1000 " ms"
    check "end of the step at $1 MiB" "$(median "${times[@]}")" 1000
}

# between REPORT: milliseconds from the log's line of the kill to the step's last word; never less than 0.
between() {
    local killed ended
    killed=$(jq -rR 'fromjson? | select(.message? // "" | startswith("out of memory: ")) | select(.timestamp) | .timestamp' <<<"$1" | head -n 1)
    ended=$(sed -n 's/^ended //p' <<<"$1")
    if [[ -z $killed || -z $ended ]]; then echo 100000 && return; fi
    awk -v killed="$(date --date "$killed" +%s.%N)" -v ended="$ended" \
        'BEGIN { ms = (ended - killed) * 1000; printf "%d", (ms > 0 ? ms : 0) }'
}

# rest_at LIMIT USED TARGET: the processor of the guard's thread while a job keeps so many MiB, and the memory of PID 1.
rest_at() {
    local pid thread before after began
    guarded "$1" --detach -- "/hog threads 1 $2; sleep 1000" >/dev/null 2>&1 || die 70 "the container did not start."
    pid=$(engine inspect --format '{{ .State.Pid }}' "$NAME")
    sleep 5
    thread=$(grep -l '^memory-guard$' "/proc/$pid"/task/*/comm) || die 70 "PID 1 has no guard."
    thread=$(dirname "$thread")
    began=$(resident "$pid")
    before=$(cut -d ' ' -f 1 "$thread/schedstat")
    sleep "$AT_REST"
    after=$(cut -d ' ' -f 1 "$thread/schedstat")
    row "limit of $1 MiB, $2 in use: processor" "$(calculate "($after - $before) / $AT_REST / 10000000" 3)" "$3" " %"
    check "processor with $2 of $1 MiB in use" "$(calculate "($after - $before) / $AT_REST / 10000000" 3)" "$3"
    row "limit of $1 MiB, $2 in use: growth of PID 1" "$(($(resident "$pid") - began))" 0 " KiB"
    check "growth of PID 1 with $2 of $1 MiB in use" $(($(resident "$pid") - began)) 0
    remove_container
}

# resident PID: anonymous memory in KiB.
resident() { sed -n 's/^RssAnon:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$1/status"; }

main "$@"
