# shellcheck shell=bash
# The builder's container, beside the job's: the one that may build, and that holds the registry credentials.

start_builder() {
    local flags=() variable staged
    as_root install -m 0666 /dev/null "$RUN/builder-termination-log"
    make_volume "$NAME-builder" BUILDER_VOLUME_PATH
    make_volume "$NAME-socket" SOCKET_VOLUME_PATH
    if [[ -n $BUILDER_SECRETS ]]; then
        stage_secrets staged "$BUILDER_SECRETS" --builder-secrets
        flags+=(--volume "$staged:/run/secrets/supervisor:ro")
    fi
    if [[ -n $IMAGE_STORE ]]; then
        flags+=(--volume "$(readlink -f -- "$IMAGE_STORE"):/var/lib/images:ro" --env SUPERVISOR_BUILDER__IMAGE_STORE=/var/lib/images)
    fi
    for variable in "${BUILDER_ENVIRONMENT[@]}"; do flags+=(--env "$variable"); done
    building_flags
    network_flags
    on_exit engine rm --force --ignore --time 0 "$NAME-builder"
    # The volume carries what image layers contain, setuid programs and all; the job's files carry nothing of the kind.
    engine create --name "$NAME-builder" \
        --user "$RUNNER_ID:$RUNNER_ID" "${LIMIT_FLAGS[@]}" "${BUILDING_FLAGS[@]}" \
        --tmpfs /tmp:rw,nosuid,nodev,exec,mode=1777 --tmpfs /var/tmp:rw,nosuid,nodev,exec,mode=1777 \
        --mount type=tmpfs,destination=/run/supervisor,tmpfs-mode=0700,U=true \
        --volume "$NAME:/workspace:rw,exec,nosuid,nodev" \
        --volume "$NAME-builder:/var/lib/builder:rw,exec,suid,dev" \
        --volume "$NAME-socket:/run/builder:rw" \
        --volume "$RUN/builder-termination-log:/dev/termination-log:rw" \
        --env SUPERVISOR_LOG__FORMAT=human \
        --env SUPERVISOR_TERMINATION_GRACE_PERIOD="${GRACE}s" \
        --env SUPERVISOR_GRACE="$((GRACE < 30 ? GRACE * 1000 / 3 : 10000))ms" \
        --env SUPERVISOR_WIPE__RESERVE="$((GRACE < 30 ? GRACE * 1000 / 3 : 10000))ms" \
        --env SUPERVISOR_STORAGE__INSECURE_REGISTRIES="$REGISTRY" \
        --restart on-failure --stop-signal TERM --stop-timeout "$GRACE" --log-driver none \
        "${NETWORK_FLAGS[@]}" "${flags[@]}" "$BUILDER_TAG" >/dev/null
    as_root setsid podman "${ENGINE_FLAGS[@]}" start --attach --sig-proxy=false "$NAME-builder" \
        >"$RUN/builder.log" 2>&1 </dev/null &
    await_builder
}

# In a pod a native sidecar's start-up probe sees to this.
await_builder() {
    local attempt
    for attempt in {1..300}; do
        if as_root test -S "$SOCKET_VOLUME_PATH/socket"; then return; fi
        if ((attempt > 20)) && [[ $(state_of "$NAME-builder") == exited ]]; then break; fi
        sleep 0.1
    done
    die 70 "the builder did not start: $(tail -n 5 "$RUN/builder.log" | printable)"
}

# The runner is done: SIGTERM, upon which the builder ends what runs and wipes.
end_builder() {
    local status
    logged engine stop --time "$GRACE" "$NAME-builder" || warn "the builder could not be stopped."
    status=$(engine inspect --format '{{ .State.ExitCode }}' "$NAME-builder")
    if ((status != 0)); then
        warn "the builder ended with $status: $(tail -n 5 "$RUN/builder.log" | printable)"
        if ((JOB_STATUS == 0)); then JOB_STATUS=$status; fi
    fi
}
