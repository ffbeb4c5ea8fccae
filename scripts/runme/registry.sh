# shellcheck shell=bash
# The job's network, and a real registry on its loopback.

# A container that only holds the network namespace, as a pod's infra container does: the registry listens on that
# namespace's loopback, so neither the host nor its network sees it, and the job does not see the host's loopback.
start_network() {
    local network fallback=
    on_exit engine rm --force --ignore --time 0 "$NAME-network"
    for network in bridge slirp4netns; do
        if ! hold_network "$network"; then continue; fi
        if reaches_out; then
            say "    network: $network"
            return
        fi
        : "${fallback:=$network}"
    done
    [[ -n $fallback ]] || die 69 "podman can set up neither a bridge nor slirp4netns for the job: $(tail -n 1 "$RUN/network.log")"
    hold_network "$fallback" || die 69 "podman could not set up $fallback a second time: $(tail -n 1 "$RUN/network.log")"
    warn "the job reaches nothing outside its container (network: $fallback)."
}

hold_network() {
    engine rm --force --ignore --time 0 "$NAME-network" >/dev/null 2>&1 || true
    engine run --detach --name "$NAME-network" --network "$1" "${LIMIT_FLAGS[@]}" --cap-drop all --read-only \
        --security-opt no-new-privileges --entrypoint sleep "$RUNNER_TAG" infinity >"$RUN/network.log" 2>&1 || return 1
    NETWORK_PID=$(engine inspect --format '{{ .State.Pid }}' "$NAME-network")
}

# Debian's mirror, since that is what image builds ask for first. A machine that is offline itself is no reason to try on.
reaches_out() {
    local probe=(curl --silent --output /dev/null --max-time 10 http://deb.debian.org/)
    engine exec "$NAME-network" "${probe[@]}" || ! "${probe[@]}"
}

in_network() { as_root nsenter "--net=/proc/$NETWORK_PID/ns/net" "$@"; }

start_registry() {
    # On disk rather than in /tmp, which is memory on some machines; images can be large.
    REGISTRY_DIRECTORY=$(as_root mktemp -d /var/tmp/ci-cd-agents-registry.XXXXXXXX)
    on_exit as_root rm -rf --one-file-system -- "$REGISTRY_DIRECTORY"
    registry_settings | as_root tee "$REGISTRY_DIRECTORY/config.yml" >/dev/null
    as_root chown -R "$REGISTRY_ID:$REGISTRY_ID" "$REGISTRY_DIRECTORY"
    on_exit stop_registry
    # In a session of its own, so that a Ctrl-C meant for the job does not reach it. The shell in between leaves the id of
    # the process that it becomes, which sudo would hide.
    # shellcheck disable=SC2016
    in_network setsid setpriv --reuid "$REGISTRY_ID" --regid "$REGISTRY_ID" --clear-groups --no-new-privs --bounding-set -all \
        bash -c 'echo "$$" && exec docker-registry serve "$1"' bash "$REGISTRY_DIRECTORY/config.yml" \
        >"$RUN/registry.pid" 2>"$RUN/registry.log" </dev/null &
    await_registry
    seed_registry
}

registry_settings() {
    cat <<CONFIG
version: 0.1
log:
  level: warn
  accesslog:
    disabled: true
storage:
  filesystem:
    rootdirectory: $REGISTRY_DIRECTORY/data
http:
  addr: $REGISTRY
CONFIG
}

await_registry() {
    local attempt
    for attempt in {1..100}; do
        if in_network curl --silent --fail --noproxy '*' --output /dev/null "http://$REGISTRY/v2/"; then return; fi
        # After a second something has gone wrong if the process is not there.
        if ((attempt > 10)) && ! registry_runs; then break; fi
        sleep 0.1
    done
    die 69 "the registry did not start: $(tail -n 1 "$RUN/registry.log")"
}

registry_runs() {
    local pid
    pid=$(head -n 1 "$RUN/registry.pid" 2>/dev/null)
    [[ -n $pid && -d /proc/$pid ]]
}

# shellcheck disable=SC2317 # called at the exit
stop_registry() {
    local pid attempt
    registry_runs || return 0
    pid=$(head -n 1 "$RUN/registry.pid")
    as_root kill -TERM "$pid"
    for attempt in {1..50}; do
        registry_runs || return 0
        ((attempt < 50)) || as_root kill -KILL "$pid"
        sleep 0.1
    done
}

# Compressed as quickly as can be: it travels over loopback, once.
seed_registry() {
    logged in_network skopeo copy --quiet --dest-tls-verify=false --dest-compress-level 1 \
        "containers-storage:$RUNNER_BASE" "docker://$REGISTRY/$SEEDED_NAME:$SEEDED_TAG" ||
        die 69 "the base image could not be copied into the registry."
    # shellcheck disable=SC2034 # for the list of what was pushed
    SEEDED_DIGEST=$(registry_digest "$SEEDED_NAME" "$SEEDED_TAG")
}

# registry_get PATH [CURL-OPTION…]
registry_get() {
    local path=$1
    shift
    in_network curl --silent --fail --noproxy '*' "$@" "http://$REGISTRY/v2/$path"
}

# registry_digest NAME TAG
registry_digest() {
    registry_get "$1/manifests/$2" --head \
        --header 'Accept: application/vnd.oci.image.manifest.v1+json' \
        --header 'Accept: application/vnd.oci.image.index.v1+json' \
        --header 'Accept: application/vnd.docker.distribution.manifest.v2+json' \
        --header 'Accept: application/vnd.docker.distribution.manifest.list.v2+json' |
        tr -d '\r' | sed -n 's/^[Dd]ocker-[Cc]ontent-[Dd]igest: //p'
}
