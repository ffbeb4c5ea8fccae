# shellcheck shell=bash
# The job's container: what it is given, and how it is started, watched and stopped.

# make_surroundings: the directories, the volume and the secrets that the job's container mounts.
make_surroundings() {
    # As the kubelet makes the file of the termination message: everyone may write to it, and only root take that away.
    as_root install -m 0666 /dev/null "$RUN/termination-log"
    # shellcheck disable=SC2153 # --name
    make_volume "$NAME" VOLUME_PATH
    [[ -z $SECRETS ]] || stage_secrets SECRETS_STAGE "$SECRETS" --secrets
}

# stage_secrets VARIABLE DIRECTORY OPTION: the secrets' copy lies in memory of bounded size, and on no disk. Kubernetes'
# names that begin with two dots are its own links; what else is no file is a mistake that a job would only notice by a
# secret that is missing.
stage_secrets() {
    local -n stage_result=$1
    local directory=$2 file odd
    odd=$(as_root find -L "$directory" -mindepth 1 -maxdepth 1 ! -type f ! -name '..*' -printf '%f ' | printable)
    [[ -z $odd ]] || die 66 "$3 $directory holds what is not a file: $odd"
    stage_result="$RUN/${3#--}"
    mkdir "$stage_result"
    as_root mount -t tmpfs -o size=2m,mode=0700,nosuid,nodev,noexec tmpfs "$stage_result"
    on_exit as_root umount "$stage_result"
    as_root find -L "$directory" -mindepth 1 -maxdepth 1 -type f ! -name '..*' -print0 |
        while IFS= read -r -d '' file; do
            as_root install -m 0400 -o "$RUNNER_ID" -g "$RUNNER_ID" -- "$file" "$stage_result/"
        done
    as_root chown "$RUNNER_ID:$RUNNER_ID" "$stage_result"
}

# make_volume NAME VARIABLE: a volume for the job's user, and its path here.
make_volume() {
    local -n volume_result=$2
    on_exit engine volume rm --force "$1"
    engine volume create --label io.github.ci-cd-agents.run="$NAME" "$1" >/dev/null
    volume_result=$(engine volume inspect --format '{{ .Mountpoint }}' "$1")
    as_root chown "$RUNNER_ID:$RUNNER_ID" "$volume_result"
    as_root chmod 0700 "$volume_result"
}

create_container() {
    local flags=() arguments=(run --flavor "$FLAVOR") image=$RUNNER_TAG variable
    ((${#COMMAND[@]} == 0)) || arguments+=(-- "${COMMAND[@]}")
    # Reading from a terminal, as a job in a pod never can, is for --flavor exec -- bash.
    if [[ -t 0 && -t 1 ]]; then flags+=(--tty --interactive); fi
    # Writable, because PID 1 unlinks each secret once it is read.
    [[ -z $SECRETS ]] || flags+=(--volume "$SECRETS_STAGE:/run/secrets/supervisor:rw")
    for variable in "${ENVIRONMENT[@]}"; do flags+=(--env "$variable"); done
    flags+=(--env "SUPERVISOR_RUNNER__INHERIT=$(inherited)")
    if [[ $SHAPE == split ]]; then
        # What the Pod Security Standard `restricted` asks for.
        default_seccomp >"$RUN/seccomp.json"
        flags+=(--cap-drop all --security-opt no-new-privileges --security-opt "seccomp=$RUN/seccomp.json"
            --read-only --read-only-tmpfs=false
            --volume "$NAME:/workspace:rw,exec,nosuid,nodev" --volume "$NAME-socket:/run/builder:ro")
    else
        image=$SINGLE_TAG
        building_flags
        flags+=("${BUILDING_FLAGS[@]}" --volume "$NAME:/workspace:rw,exec,suid,dev"
            --env SUPERVISOR_STORAGE__INSECURE_REGISTRIES="$REGISTRY")
    fi
    network_flags

    on_exit engine rm --force --ignore --time 0 "$NAME"
    engine create --name "$NAME" \
        --user "$RUNNER_ID:$RUNNER_ID" "${LIMIT_FLAGS[@]}" \
        --tmpfs /tmp:rw,nosuid,nodev,exec,mode=1777 --tmpfs /var/tmp:rw,nosuid,nodev,exec,mode=1777 \
        --mount type=tmpfs,destination=/run/supervisor,tmpfs-mode=0700,U=true \
        --volume "$RUN/repository:/repository:ro" \
        --volume "$RUN/termination-log:/dev/termination-log:rw" \
        --env REGISTRY="$REGISTRY" \
        --env SUPERVISOR_LOG__FORMAT=human \
        --env SUPERVISOR_LOCAL__EVENT="$EVENT" \
        --env SUPERVISOR_TERMINATION_GRACE_PERIOD="${GRACE}s" \
        --env SUPERVISOR_GRACE="$((GRACE < 30 ? GRACE * 1000 / 3 : 10000))ms" \
        --env SUPERVISOR_WIPE__RESERVE="$((GRACE < 30 ? GRACE * 1000 / 3 : 10000))ms" \
        --stop-signal TERM --stop-timeout "$GRACE" --log-driver none \
        "${NETWORK_FLAGS[@]}" "${flags[@]}" "$image" "${arguments[@]}" >/dev/null
}

# The profile RuntimeDefault of containerd, for a container without capabilities: podman's own lets everybody make namespaces.
# It is the profile for Buildah without what was changed in it (k8s/seccomp/README.md); 2114060288 are clone's CLONE_NEW* flags.
default_seccomp() {
    jq '.defaultErrnoRet = 1
        | .syscalls |= [.[1:][] | if .names == ["prlimit64"] then del(.args) else . end]
        | .syscalls += [
            {names: ["clone"], action: "SCMP_ACT_ALLOW",
                args: [{index: 0, value: 2114060288, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ"}]},
            {names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: 38}]' "$SECCOMP_PROFILE"
}

BUILDING_FLAGS=()

# What a container needs in which Buildah runs, whatever the shape. Its root file system is writable, and gone with it: on a
# read-only one chroot isolation fails, because buildah may not change the flags of a mount that is locked from outside
# ("tweaking mount flags on host root directory").
building_flags() {
    BUILDING_FLAGS=(--cap-drop all --cap-add SETUID --cap-add SETGID
        --security-opt "seccomp=$SECCOMP_PROFILE" "${SECURITY_FLAGS[@]}")
    # Only an alternative to the kernel's own overlay, and not there on every machine.
    [[ ! -e /dev/fuse ]] || BUILDING_FLAGS+=(--device "$(fuse_for_everyone):/dev/fuse")
}

# The job gets this machine's certificate authorities and its proxies.
network_flags() {
    local ca
    NETWORK_FLAGS=(--network "container:$NAME-network")
    ca=$(ca_bundle)
    [[ -z $ca ]] || NETWORK_FLAGS+=(--volume "$ca:/etc/ssl/certs/ca-certificates.crt:ro")
    proxy_flags NETWORK_FLAGS
}

# The job's environment is built from nothing: what was given to this script by name is handed on.
inherited() {
    local variable names=REGISTRY
    for variable in "${ENVIRONMENT[@]}"; do
        case $variable in
            SUPERVISOR_RUNNER__INHERIT=*) names+=,${variable#*=} ;;
            SUPERVISOR_*) ;;
            *) names+=,${variable%%=*} ;;
        esac
    done
    echo "$names"
}

# proxy_flags VARIABLE: podman passes the proxies' variables on; the registry is not behind a proxy.
proxy_flags() {
    local -n proxies=$1
    local name
    for name in http_proxy https_proxy HTTP_PROXY HTTPS_PROXY; do
        [[ -n ${!name-} ]] || continue
        proxies+=(--env "no_proxy=${no_proxy-${NO_PROXY-}},127.0.0.1,localhost" --env "NO_PROXY=${NO_PROXY-${no_proxy-}},127.0.0.1,localhost")
        [[ ! ${!name} =~ (127\.0\.0\.1|localhost|\[::1\]) ]] ||
            warn "$name names this machine's loopback, which the job does not reach."
        return 0
    done
}

# A device plugin gives a pod this device with mode 0666; some machines keep their own for root, and theirs is not changed.
fuse_for_everyone() {
    [[ -e $RUN/fuse ]] || as_root mknod -m 0666 "$RUN/fuse" c 10 229
    echo "$RUN/fuse"
}

SIGNALS=0

# Sets JOB_STATUS. A signal to this script goes on to the container, and the script still cleans up and reports.
run_job() {
    local attached status=0
    trap 'SIGNALS=$((SIGNALS + 1))' INT TERM HUP
    # In a session of its own: a Ctrl-C reaches this script, which then stops the container in its own way.
    as_root setsid podman "${ENGINE_FLAGS[@]}" start --attach --sig-proxy=false "$NAME" <&0 &
    attached=$!
    while [[ -e /proc/$attached ]]; do
        wait "$attached" || true
        if ((SIGNALS)); then stop_container "$attached"; fi
    done
    wait "$attached" || status=$?
    # podman's own status counts only where the container never ran.
    JOB_STATUS=$status
    if [[ $(container_state) == exited ]]; then
        # shellcheck disable=SC2034 # the script's own status
        JOB_STATUS=$(engine inspect --format '{{ .State.ExitCode }}' "$NAME")
    fi
    handle_signals
}

container_state() { state_of "$NAME"; }

state_of() { engine inspect --format '{{ .State.Status }}' "$1"; }

# stop_container ATTACHED-PID: SIGTERM, and SIGKILL when the grace is over or another signal comes.
stop_container() {
    local attached=$1 stopper='' before=$SIGNALS
    [[ -e /proc/$attached ]] || return 0
    say "==> stopping: the job has $GRACE seconds; another signal ends it at once"
    while [[ -e /proc/$attached ]]; do
        # A signal may come before the container has started.
        if [[ -z $stopper && $(container_state) == running ]]; then
            as_root setsid podman "${ENGINE_FLAGS[@]}" stop --time "$GRACE" "$NAME" >/dev/null 2>&1 &
            stopper=$!
        fi
        if ((SIGNALS > before)); then
            before=$SIGNALS
            engine kill "$NAME" >/dev/null 2>&1 || true
        fi
        sleep 0.2
    done
    [[ -z $stopper ]] || wait "$stopper" || true
}
