#!/usr/bin/env bash
# The supervisor as PID 1 against tini, dumb-init and catatonit: start, memory, orphans, signals, size.
#
# BENCH_BEFORE names the binary of an earlier build: it runs in turns with this one, and each figure may grow by 2 %.

# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=scripts/lib/bench.sh
source "$ROOT/scripts/lib/bench.sh"

# Runs of each start; pairs of runs for the orphans; signals for each latency.
STARTS=${BENCH_STARTS:-200}
ORPHAN_RUNS=${BENCH_ORPHAN_RUNS:-5}
SIGNALS_SENT=1000
SIZE_LIMIT=4500000
# The job's command follows.
BARE_ARGUMENTS="run --flavor exec --no-preflight --storage-driver none --"
FULL_ARGUMENTS="run --flavor exec --"

main() {
    need hyperfine hyperfine "times whole commands"
    need jq jq "reads what hyperfine measured"
    need python3 python3 "sends signals and reads the kernel's accounting"
    need tini tini "is a peer"
    need dumb-init dumb-init "is a peer"
    need catatonit catatonit "is a peer"
    install_missing
    handle_signals
    build_supervisor
    logged toolchain_cargo build --release --locked --package linux --example orphans --target "$TRIPLE" ||
        die 70 "compiling the orphans' maker failed."
    ORPHANS="$TARGET_DIRECTORY/$TRIPLE/release/examples/orphans"
    scratch_directory WORK
    mkdir "$WORK/secrets" && echo token >"$WORK/secrets/token"
    export SUPERVISOR_RUNTIME_DIRECTORY="$WORK/run" SUPERVISOR_LOG__LEVEL=error SUPERVISOR_WORKSPACE__PATH="$WORK/workspace"
    export SUPERVISOR_SECRETS__DIRECTORY="$WORK/secrets"
    BARE="$CI_CD_AGENTS_BINARY $BARE_ARGUMENTS"
    FULL="$CI_CD_AGENTS_BINARY $FULL_ARGUMENTS"
    PEERS=("tini --" "dumb-init --" "catatonit --")
    printf '%-52s %12s %12s %7s %7s\n' what supervisor "best peer" ratio target
    starts
    memory
    orphans
    latency
    size
    if [[ ${BENCH_BEFORE-} ]]; then before; fi
    summary
}

# row WHAT OURS PEER TARGET [UNIT]: the ratio is to be at most TARGET.
row() {
    local ratio
    ratio=$(jq -n "$2 / $3 * 100 | round / 100")
    printf '%-52s %12s %12s %7s %7s\n' "$1" "$2${5-}" "$3${5-}" "$ratio" "$4"
    [[ $(jq -n "$ratio <= $4") == true ]] || MISSED=$((MISSED + 1))
}

# limit WHAT OURS LIMIT UNIT
limit() {
    printf '%-52s %12s %12s %7s %7s\n' "$1" "$2$4" - - "$3$4"
    [[ $(jq -n "$2 <= $3") == true ]] || MISSED=$((MISSED + 1))
}

# As an engine starts PID 1; the namespaces alone are what everyone pays.
NAMESPACE='unshare --pid --fork --mount-proc'

# starts: from the first fork(2) to the job's first words, less the namespaces' own time; medians, in turns.
starts() {
    local medians base ours full best
    medians=$(start_medians "" "$BARE" "$FULL" "${PEERS[@]}") || die 70 "the starts could not be timed."
    base=$(jq '.[0]' <<<"$medians")
    ours=$(jq "(.[1] - $base) * 1000 | round / 1000" <<<"$medians")
    full=$(jq "(.[2] - .[1]) * 1000 | round / 1000" <<<"$medians")
    best=$(jq "([.[3:][] - $base] | min) * 1000 | round / 1000" <<<"$medians")
    row "start to exec, added to unshare's own $(jq -n "$base * 10 | round / 10") ms" "$ours" "$best" 3 " ms"
    limit "the same with preflight, storage and secrets, more" "$full" 10 " ms"
}

# start_medians INIT…: prints the median start of each in milliseconds, as a JSON array.
start_medians() {
    python3 - "$STARTS" "$NAMESPACE" "$@" <<'PYTHON'
import json, os, statistics, sys, time

count, namespace, inits = int(sys.argv[1]), sys.argv[2].split(), sys.argv[3:]
JOB = ["/bin/sh", "-c", "echo >&9"]
null = os.open("/dev/null", os.O_RDWR)

def start(init):
    read, write = os.pipe()
    command = namespace + init.split() + JOB
    actions = [(os.POSIX_SPAWN_DUP2, write, 9), (os.POSIX_SPAWN_DUP2, null, 1), (os.POSIX_SPAWN_DUP2, null, 2)]
    began = time.perf_counter_ns()
    pid = os.posix_spawnp(command[0], command, os.environ, file_actions=actions)
    os.close(write)
    said = os.read(read, 1)
    took = time.perf_counter_ns() - began
    os.close(read)
    _, status = os.waitpid(pid, 0)
    if not said or status:
        sys.exit(f"{command} ended with {status}")
    return took / 1e6

times = [[start(init) for init in inits] for _ in range(count)]
print(json.dumps([statistics.median(column) for column in zip(*times)]))
PYTHON
}

# memory: PID 1 while its job sleeps.
memory() {
    local ours peer best=
    ours=$(resident "$BARE")
    for peer in "${PEERS[@]}"; do best+="$(resident "$peer")"$'\n'; done
    limit "idle, RSS (peers: $(cut -d ' ' -f 1 <<<"$best" | paste -s -d ' '))" "${ours% *}" 2048 " KiB"
    limit "idle, PSS (peers: $(cut -d ' ' -f 2 <<<"$best" | paste -s -d ' '))" "${ours#* }" 1536 " KiB"
}

# resident INIT: prints RSS and PSS in KiB.
resident() {
    python3 - "$NAMESPACE $1 sleep 1000" <<'PYTHON'
import os, signal, subprocess, sys, time

job = subprocess.Popen(sys.argv[1].split(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

def child(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        found = children.read().split()
    return int(found[0]) if found else None

def name(pid):
    with open(f"/proc/{pid}/comm") as comm:
        return comm.read().strip()

while True:
    init = child(job.pid)
    runner = init and child(init)
    if runner and name(runner) == "sleep":
        break
    time.sleep(0.01)
time.sleep(0.2)
with open(f"/proc/{init}/smaps_rollup") as rollup:
    lines = {line.split(":")[0]: line.split()[1] for line in rollup if ":" in line}
print(lines["Rss"], lines["Pss"])
os.kill(init, signal.SIGTERM)
job.wait()
PYTHON
}

# orphans: wall time, and processor time of everything in the namespace, for 50,000 of them.
orphans() {
    local commands=() peer results round
    for peer in "$BARE" "${PEERS[@]}"; do commands+=("$NAMESPACE $peer $ORPHANS 50000"); done
    # In turns, for one that takes so long would else meet another machine than the next.
    results=$(
        for ((round = 0; round < ORPHAN_RUNS; round++)); do
            hyperfine --shell none --runs 1 --style none --export-json "$WORK/orphans" "${commands[@]}" >/dev/null 2>&1 ||
                die 70 "hyperfine could not time the orphans."
            jq -c '[.results[] | [.median, .user + .system]]' "$WORK/orphans"
        done | jq -sc 'transpose | map(transpose | map(sort[length / 2 | floor] * 1000 | round))'
    )
    row "50,000 orphans, wall" "$(jq '.[0][0]' <<<"$results")" "$(jq '[.[1:][][0]] | min' <<<"$results")" 1.2 " ms"
    row "50,000 orphans, processor" "$(jq '.[0][1]' <<<"$results")" "$(jq '[.[1:][][1]] | min' <<<"$results")" 1.2 " ms"
}

# latency: from kill(2) to the handler's answer, all inits in turns.
latency() {
    local results
    results=$(python3 - "$SIGNALS_SENT" "$NAMESPACE" "$BARE" "${PEERS[@]}" <<'PYTHON'
import json, os, select, signal, subprocess, sys, time

count, namespace, inits = int(sys.argv[1]), sys.argv[2].split(), sys.argv[3:]
HANDLER = """
import os, signal, sys
answer = int(sys.argv[1])
signal.signal(signal.SIGUSR1, lambda *_: os.write(answer, b"x"))
os.write(answer, b"r")
while True: signal.pause()
"""

class Init:
    def __init__(self, init):
        self.read, write = os.pipe()
        command = namespace + init.split() + [sys.executable, "-c", HANDLER, str(write)]
        self.job = subprocess.Popen(command, pass_fds=[write], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(write)
        os.read(self.read, 1)
        with open(f"/proc/{self.job.pid}/task/{self.job.pid}/children") as children:
            self.pid = int(children.read().split()[0])
        self.times = []

    def once(self):
        began = time.perf_counter_ns()
        os.kill(self.pid, signal.SIGUSR1)
        os.read(self.read, 1)
        self.times.append((time.perf_counter_ns() - began) / 1000)

inits = [Init(init) for init in inits]
for _ in range(count):
    for init in inits:
        init.once()
for init in inits:
    os.kill(init.pid, signal.SIGTERM)
    init.job.wait()
    init.times.sort()
print(json.dumps([[round(i.times[count // 2], 1), round(i.times[count * 99 // 100], 1)] for i in inits]))
PYTHON
    )
    row "signal to handler, p50" "$(jq '.[0][0]' <<<"$results")" "$(jq '[.[1:][][0]] | min' <<<"$results")" 1.2 " µs"
    row "signal to handler, p99" "$(jq '.[0][1]' <<<"$results")" "$(jq '[.[1:][][1]] | min' <<<"$results")" 1.2 " µs"
}

size() { limit "binary, stripped and static" "$(stat -c %s "$CI_CD_AGENTS_BINARY")" "$SIZE_LIMIT" " B"; }

# before: this build and an earlier one.
before() {
    local medians ours earlier
    medians=$(start_medians "" "$BARE" "$BENCH_BEFORE $BARE_ARGUMENTS" "$FULL" "$BENCH_BEFORE $FULL_ARGUMENTS") ||
        die 70 "the starts could not be timed."
    printf '\n%-52s %12s %12s %7s %7s\n' what supervisor before ratio target
    row "start to exec, added to unshare's own" "$(added "$medians" 1)" "$(added "$medians" 2)" 1.02 " ms"
    row "with preflight, storage and secrets" "$(added "$medians" 3)" "$(added "$medians" 4)" 1.02 " ms"
    ours=$(resident "$BARE")
    earlier=$(resident "$BENCH_BEFORE $BARE_ARGUMENTS")
    row "idle, RSS" "${ours% *}" "${earlier% *}" 1.02 " KiB"
    row "idle, PSS" "${ours#* }" "${earlier#* }" 1.02 " KiB"
    row "binary" "$(stat -c %s "$CI_CD_AGENTS_BINARY")" "$(stat -c %s "$BENCH_BEFORE")" 1.02 " B"
}

# added MEDIANS INDEX: what a start adds to the namespaces' own time, which is the first median.
added() { jq ".[$2] - .[0] | . * 1000 | round / 1000" <<<"$1"; }

main
