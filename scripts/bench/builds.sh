#!/usr/bin/env bash
# Builds asked of the builder against the same Buildah called in it: start, build, output, context, cache, storage drivers.

# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=scripts/lib/bench.sh
source "$ROOT/scripts/lib/bench.sh"

# Runs of each, of which the median counts.
RUNS=${BENCH_RUNS:-5}
BASE=127.0.0.1:5000/base:trixie
# The environment in which the builder starts Buildah, as far as it matters here.
DIRECT=(env HOME=/var/lib/builder/home TMPDIR=/var/lib/builder/tmp BUILDAH_ISOLATION=chroot
    CONTAINERS_STORAGE_CONF=/run/supervisor/containers/storage.conf
    CONTAINERS_CONF=/run/supervisor/containers/containers.conf
    CONTAINERS_REGISTRIES_CONF=/run/supervisor/containers/registries.conf)

main() {
    need_for_run
    install_missing
    require_root "running containers"
    engine_options
    handle_signals
    build_images
    scratch_directory SCRATCH
    start_pod
    printf '%-44s %12s %12s %10s %8s\n' "" direct asked difference target
    start_of_buildah
    a_build "a build of seconds" seconds 1.03
    a_build "a context of 1 GB, one file of it copied" large 1.03
    output
    stop_pod
    start_pod --builder-env SUPERVISOR_BUILDER__CACHE=127.0.0.1:5000/cache \
        --builder-env SUPERVISOR_BUILDER__CACHE_WRITE=true
    cache
    stop_pod
    drivers
    summary
}

# start_pod [OPTION…]: sets NAME; the job waits.
start_pod() {
    NAME="bench-builds-$$"
    "$ROOT/scripts/runme_local.sh" --name "$NAME" "$@" -- sleep 86391 >"$SCRATCH/log" 2>&1 </dev/null &
    POD=$!
    on_exit stop_pod
    until grep -q 'the runner started' "$SCRATCH/log"; do
        [[ -e /proc/$POD ]] || die 70 "the pod did not start: $(tail -n 5 "$SCRATCH/log")"
        sleep 0.2
    done
    in_job "$CONTEXTS" >/dev/null
    # The home that /etc/passwd names there; the sandbox of a build makes its own.
    in_builder 'mkdir -p /run/supervisor/home'
}

stop_pod() {
    [[ -n ${POD-} ]] || return 0
    kill "$POD" 2>/dev/null || true
    wait "$POD" || true
    POD=''
}

# shellcheck disable=SC2016 # expanded in the container
CONTEXTS='
    mkdir -p /workspace/work/seconds /workspace/work/large /workspace/work/output /workspace/work/cached /workspace/work/many
    cd /workspace/work
    printf "FROM %s\nRUN seq 1 9000000 | sha256sum\nRUN seq 1 9000000 | sha256sum\n" '$BASE' >seconds/Containerfile
    head -c 1G /dev/urandom >large/file; echo x >large/small
    printf "FROM %s\nCOPY small /\nRUN seq 1 9000000 | sha256sum\n" '$BASE' >large/Containerfile
    printf "FROM %s\nRUN head -c 2000000000 /dev/zero\n" '$BASE' >output/Containerfile
    { echo "FROM '$BASE'"; for i in 1 2 3 4 5 6 7 8 9 10; do echo "RUN seq 1 1000000 | sha256sum >/step-$i"; done; } >cached/Containerfile
    printf "FROM %s\nRUN for d in \$(seq 1 200); do mkdir -p /many/\$d; for f in \$(seq 1 100); do echo \$f >/many/\$d/\$f; done; done\nRUN rm -r /many/1\nRUN chmod -R go-w /many\n" '$BASE' >many/Containerfile
'

in_job() { engine exec --user 1000:1000 --env HOME=/workspace/home --env TMPDIR=/workspace/tmp "$NAME" bash -c "$1"; }

in_builder() { engine exec --user 1000:1000 "$NAME-builder" "${DIRECT[@]}" bash -c "$1"; }

# timed WHERE COMMAND: microseconds, without those of podman.
timed() {
    # shellcheck disable=SC2016 # expanded in the container
    "$1" 'before=${EPOCHREALTIME/[.,]/}; '"$2"' >/dev/null 2>&1 || exit; after=${EPOCHREALTIME/[.,]/}; echo $((after - before))' ||
        die 70 "\"$2\" failed; $1"
}

# compare COMMAND: sets HERE and THERE, medians in microseconds, of both in turns.
compare() {
    local run direct=() asked=()
    for ((run = 0; run <= RUNS; run++)); do
        HERE=$(timed in_builder "$1")
        THERE=$(timed in_job "$1")
        # The first warms the caches.
        ((run == 0)) || direct+=("$HERE") asked+=("$THERE")
    done
    HERE=$(median "${direct[@]}") THERE=$(median "${asked[@]}")
}

start_of_buildah() {
    local more
    compare 'buildah version'
    more=$(((THERE - HERE) / 1000))
    row "buildah version" "+$more ms" "15 ms"
    check "buildah version, ms more" "$more" 15
}

# a_build TITLE CONTEXT TARGET
a_build() {
    local ratio
    compare "buildah build --no-cache /workspace/work/$2"
    ratio=$(calculate "$THERE / $HERE" 3)
    row "$1" "×$ratio" "$3"
    check "$1" "$ratio" "$3"
}

output() {
    local rate
    HERE=$(timed in_builder 'buildah build --no-cache /workspace/work/output')
    THERE=$(timed in_job 'buildah build --no-cache /workspace/work/output')
    rate=$(calculate "2000000000 / $THERE" 0)
    row "2 GB of output" "$rate MB/s" "300 MB/s"
    check "output, MB/s" "-$rate" -300
}

# The storage is emptied, and the base image pulled again, as in a pod that starts. From a registry, the builder can only
# be as fast as Buildah, which pulls step by step; a store of images is to be as fast as the pod's own storage.
cache() {
    local run cold=() asked=() warm=() stored=() ratio
    timed in_job 'buildah build --layers /workspace/work/cached' >/dev/null
    in_builder "$STORE" >/dev/null 2>&1
    for ((run = 0; run < RUNS; run++)); do
        warm+=("$(timed in_builder 'buildah build --layers /workspace/work/cached')")
        in_builder 'rm -rf /var/lib/builder/tmp/fresh'
        stored+=("$(timed in_builder 'CONTAINERS_STORAGE_CONF=/var/lib/builder/tmp/fresh.conf buildah build --layers --pull=never /workspace/work/cached')")
        empty
        cold+=("$(timed in_builder 'buildah build --layers --cache-from 127.0.0.1:5000/cache --cache-to 127.0.0.1:5000/cache /workspace/work/cached')")
        empty
        asked+=("$(timed in_job 'buildah build /workspace/work/cached')")
    done
    HERE=$(median "${warm[@]}") THERE=$(median "${stored[@]}")
    ratio=$(calculate "$THERE / $HERE")
    row "10 unchanged steps: warm, and from a store" "×$ratio" 1.3
    check "10 unchanged steps from a store of images" "$ratio" 1.3
    THERE=$(median "${cold[@]}")
    row "  warm, and from a registry: Buildah alone" "×$(calculate "$THERE / $HERE")" ""
    HERE=$THERE THERE=$(median "${asked[@]}")
    ratio=$(calculate "$THERE / $HERE")
    row "  from a registry" "×$ratio" 1.1
    check "10 unchanged steps from a registry" "$ratio" 1.1
}

empty() { in_job "buildah rmi --all --force && buildah pull $BASE" >/dev/null 2>&1; }

# A store of images with all steps in it, and a storage beside it that has none of its own.
# shellcheck disable=SC2016 # expanded in the container
STORE='
    cd /var/lib/builder/tmp || exit
    buildah --root "$PWD/store" --runroot "$PWD/store-run" build --layers /workspace/work/cached || exit
    {
        sed "s|/var/lib/builder/storage|$PWD/fresh|; s|^runroot = .*|runroot = \"$PWD/fresh-run\"|" "$CONTAINERS_STORAGE_CONF"
        printf "[storage.options]\nadditionalimagestores = [\"%s\"]\n" "$PWD/store"
    } >fresh.conf
'

drivers() {
    local driver
    for driver in overlay fuse-overlayfs vfs; do
        start_pod --builder-env "SUPERVISOR_STORAGE__DRIVER=$driver"
        say "    20,000 files, $driver: $(calculate "$(timed in_job 'buildah build --layers /workspace/work/many') / 1000000" 1) s"
        stop_pod
    done
    start_pod
    say "    picked: $(in_job 'buildah info' | jq -r '[.store.GraphDriverName, .store.GraphOptions[]?] | join(" ")')"
    stop_pod
}

# row TITLE DIFFERENCE TARGET
row() {
    printf '%-44s %10s s %10s s %10s %8s\n' "$1" "$(calculate "$HERE / 1000000" 3)" "$(calculate "$THERE / 1000000" 3)" "$2" "$3"
}

main "$@"
