#!/usr/bin/env bash
# Runs one CI job on this machine, the way a pod would: a fresh container whose PID 1 is the supervisor, a fresh workspace,
# a real registry. `--help` says how.

# shellcheck source=scripts/buildme_local.sh
source "$(dirname "${BASH_SOURCE[0]}")/buildme_local.sh"

SECCOMP_PROFILE="$ROOT/k8s/seccomp/buildah.json"
# The address within the job's own network namespace.
REGISTRY=127.0.0.1:5000
# The name under which the base image waits in the registry, so that a Containerfile has something to start FROM.
SEEDED_NAME=base SEEDED_TAG=trixie
# The id of `runner` in the image.
RUNNER_ID=1000
# Who the registry runs as: it takes in what the job sends.
NOBODY=65534

usage() {
    cat <<'HELP'
Usage: scripts/runme_local.sh [OPTION…] [REPOSITORY] [-- COMMAND…]

Runs the workflows of REPOSITORY as one CI job: in a fresh container, with rootless Buildah and a registry at
127.0.0.1:5000 ($REGISTRY in the job), and wipes the workspace behind it. Default: tests/fixtures/example.
REPOSITORY itself is only read; the job gets a copy with the uncommitted changes, without what git ignores.
Installs what it needs and is missing, saying what and why, and builds the images when something changed.
The exit status is the job's.

  --flavor local|exec  local (default) runs the repository's workflows; exec runs COMMAND, and is implied by it
  --event EVENT        the event that triggers the workflows; default: push
  --secrets DIR        a directory with one file for each secret; the job gets a copy
  --env NAME=VALUE     a variable for the job, or a setting of the supervisor (SUPERVISOR_…); repeatable
  --name NAME          the container's name; default: ci-cd-agents-RANDOM
  --grace SECONDS      how long the job and its wipe have to end after a signal; default: 60
  --keep-images DIR    copy each image that the job pushed to DIR/NAME, an OCI layout with its tag
  --keep-report FILE   copy the supervisor's report (JSON) to FILE
  --refresh            build the images anew, with the distribution's packages of today
  --help

The job finds the base image at 127.0.0.1:5000/base:trixie. BASE_IMAGE, SUPERVISOR_BUILD and SUPERVISOR_BINARY are
those of scripts/buildme_local.sh.
HELP
}

# ── Arguments ───────────────────────────────────────────────────────────────────────────────────────────────────────

FLAVOR='' EVENT=push SECRETS='' NAME='' GRACE=60 KEEP_IMAGES='' KEEP_REPORT='' REPOSITORY=''
ENVIRONMENT=()
COMMAND=()

parse_arguments() {
    local variable
    while (($#)); do
        case $1 in
            --help | -h) usage && exit ;;
            --flavor) take FLAVOR "$@" && shift ;;
            --event) take EVENT "$@" && shift ;;
            --secrets) take SECRETS "$@" && shift ;;
            --env) take variable "$@" && shift && ENVIRONMENT+=("$variable") ;;
            --name) take NAME "$@" && shift ;;
            --grace) take GRACE "$@" && shift ;;
            --keep-images) take KEEP_IMAGES "$@" && shift ;;
            --keep-report) take KEEP_REPORT "$@" && shift ;;
            --refresh) REFRESH=yes ;;
            --) shift && COMMAND=("$@") && break ;;
            -*) die 64 "unknown option \"$1\"; --help lists what there is." ;;
            *) [[ -z $REPOSITORY ]] || die 64 "one repository at a time: \"$REPOSITORY\" and \"$1\" were given."
                REPOSITORY=$1 ;;
        esac
        shift
    done
    check_arguments
}

# take VARIABLE OPTION VALUE…
take() {
    (($# > 2)) || die 64 "$2 needs a value; --help says which."
    printf -v "$1" '%s' "$3"
}

check_arguments() {
    : "${FLAVOR:=$( ((${#COMMAND[@]})) && echo exec || echo local)}"
    case $FLAVOR in
        local) ((${#COMMAND[@]} == 0)) || die 64 "the flavor local takes no command; --flavor exec does." ;;
        exec) ((${#COMMAND[@]})) || die 64 "the flavor exec needs a command after --." ;;
        *) die 64 "--flavor is local or exec, not \"$FLAVOR\"." ;;
    esac
    [[ $GRACE =~ ^[0-9]+$ ]] || die 64 "--grace is a number of seconds, not \"$GRACE\"."
    [[ -z $SECRETS || -d $SECRETS ]] || die 66 "--secrets $SECRETS is not a directory."
    [[ -z $REPOSITORY || -d $REPOSITORY ]] || die 66 "$REPOSITORY is not a directory."
    : "${NAME:=ci-cd-agents-$(printf '%04x%04x' "$RANDOM" "$RANDOM")}"
}

need_for_run() {
    need_for_build podman
    need docker-registry docker-registry "is the registry that the job pushes to"
    need skopeo skopeo "copies images into the registry and out of it"
    need git git "makes the job's copy of the repository"
    need jq jq "reads the supervisor's report and the registry's lists"
    need nsenter util-linux "starts the registry in the job's network"
}

# ── The repository's copy ───────────────────────────────────────────────────────────────────────────────────────────

# stage_repository: copies what the job sees to $RUN/repository.
stage_repository() {
    local stage="$RUN/repository" source
    source=$(cd "${REPOSITORY:-$ROOT/tests/fixtures/example}" && pwd -P)
    mkdir "$stage"
    # The repository belongs to someone else when root runs this; nothing that its configuration names is run.
    printf '[safe]\n\tdirectory = *\n[init]\n\tdefaultBranch = main\n[user]\n\tname = ci-cd-agents\n\temail = ci-cd-agents@localhost\n' \
        >"$RUN/gitconfig"
    if [[ $(plain_git -C "$source" rev-parse --show-toplevel 2>/dev/null) == "$source" ]]; then
        stage_work_tree "$source" "$stage"
    else
        [[ -z $REPOSITORY ]] || warn "$source is not the top of a git work tree; the job gets a copy with one commit of everything in it."
        cp -a -- "$source/." "$stage"
        plain_git -C "$stage" init --quiet
        commit_all "$stage"
    fi
    say "    $source at $(plain_git -C "$stage" rev-parse --short HEAD)"
    as_root chown -R "$RUNNER_ID:$RUNNER_ID" "$stage"
}

plain_git() {
    GIT_CONFIG_GLOBAL="$RUN/gitconfig" GIT_CONFIG_NOSYSTEM=1 git -c core.fsmonitor=false -c core.hooksPath=/dev/null "$@"
}

commit_all() {
    plain_git -C "$1" add --all --force
    plain_git -C "$1" commit --quiet --message "Local run"
}

# A clone rather than a copy of .git: hooks, credentials in the configuration and links to other repositories stay behind.
stage_work_tree() {
    local source=$1 stage=$2 origin
    plain_git clone --quiet --no-checkout --no-hardlinks "$source" "$stage" 2>"$RUN/clone.log" ||
        die 66 "git could not copy $source: $(tail -n 1 "$RUN/clone.log")"
    # act takes the repository's name from its origin; a password in that URL is not the job's business.
    origin=$(plain_git -C "$source" config remote.origin.url | sed -E 's#^([a-z+]+://)[^/@]*@#\1#' || true)
    if [[ -n $origin ]]; then
        plain_git -C "$stage" remote set-url origin "$origin"
    else
        plain_git -C "$stage" remote remove origin
    fi
    copy_work_tree "$source" "$stage"
    if plain_git -C "$stage" rev-parse --quiet --verify HEAD >/dev/null; then
        plain_git -C "$stage" reset --quiet
    else
        warn "$source has no commit yet; the copy gets one."
        commit_all "$stage"
    fi
}

# Tracked files as they are now, those of submodules too, and new files that are not ignored.
copy_work_tree() {
    {
        plain_git -C "$1" ls-files -z --cached --recurse-submodules
        plain_git -C "$1" ls-files -z --others --exclude-standard
    } | while IFS= read -r -d '' file; do
        # A file may be deleted and the deletion not committed.
        if [[ -e $1/$file || -L $1/$file ]]; then printf '%s\0' "$file"; fi
    done | tar -C "$1" --create --null --no-recursion --files-from=- | tar -C "$2" --extract --no-same-owner
}

# ── The job's surroundings ──────────────────────────────────────────────────────────────────────────────────────────

# make_surroundings: the directories, the volume and the secrets that the job's container mounts.
make_surroundings() {
    # Made beforehand, as the kubelet makes the file of the termination message.
    as_root install -m 0600 -o "$RUNNER_ID" -g "$RUNNER_ID" /dev/null "$RUN/termination-log"
    on_exit engine volume rm --force "$NAME"
    engine volume create --label io.github.ci-cd-agents.run="$NAME" "$NAME" >/dev/null
    VOLUME_PATH=$(engine volume inspect --format '{{ .Mountpoint }}' "$NAME")
    as_root chown "$RUNNER_ID:$RUNNER_ID" "$VOLUME_PATH"
    as_root chmod 0700 "$VOLUME_PATH"
    [[ -z $SECRETS ]] || stage_secrets
}

# The secrets' copy lies in memory, and on no disk. Kubernetes' names that begin with two dots are its own links.
stage_secrets() {
    local file
    SECRETS_STAGE=$(as_root mktemp -d /dev/shm/ci-cd-agents.XXXXXXXX)
    on_exit as_root rm -rf --one-file-system -- "$SECRETS_STAGE"
    as_root find -L "$SECRETS" -mindepth 1 -maxdepth 1 -type f ! -name '..*' -print0 |
        while IFS= read -r -d '' file; do
            as_root install -m 0400 -o "$RUNNER_ID" -g "$RUNNER_ID" -- "$file" "$SECRETS_STAGE/"
        done
    as_root chown "$RUNNER_ID:$RUNNER_ID" "$SECRETS_STAGE"
}

# ── Network and registry ────────────────────────────────────────────────────────────────────────────────────────────

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
    as_root chown -R "$NOBODY:$NOBODY" "$REGISTRY_DIRECTORY"
    on_exit stop_registry
    # In a session of its own, so that a Ctrl-C meant for the job does not reach it. The shell in between leaves the id of
    # the process that it becomes, which sudo would hide.
    # shellcheck disable=SC2016
    in_network setsid setpriv --reuid "$NOBODY" --regid "$NOBODY" --clear-groups --no-new-privs --bounding-set -all \
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

# ── The job ─────────────────────────────────────────────────────────────────────────────────────────────────────────

create_container() {
    local flags=() arguments=(run --flavor "$FLAVOR") variable ca
    ((${#COMMAND[@]} == 0)) || arguments+=(-- "${COMMAND[@]}")
    # Reading from a terminal, as a job in a pod never can, is for --flavor exec -- bash.
    if [[ -t 0 && -t 1 ]]; then flags+=(--tty --interactive); fi
    # Only an alternative to the kernel's own overlay, and not there on every machine.
    [[ ! -e /dev/fuse ]] || flags+=(--device /dev/fuse)
    # Writable, because PID 1 unlinks each secret once it is read.
    [[ -z $SECRETS ]] || flags+=(--volume "$SECRETS_STAGE:/run/secrets/supervisor:rw")
    # Where this machine is told to trust more than the distribution does, the job has to trust it too.
    if [[ -n ${SSL_CERT_FILE-}${CURL_CA_BUNDLE-} ]]; then
        ca=$(ca_bundle)
        flags+=(--volume "$ca:/etc/ssl/certs/ca-certificates.crt:ro")
    fi
    for variable in "${ENVIRONMENT[@]}"; do flags+=(--env "$variable"); done

    on_exit engine rm --force --ignore --time 0 "$NAME"
    # The root file system is writable, and gone with the container: on a read-only one chroot isolation fails, because
    # buildah may not change the flags of a mount that is locked from outside ("tweaking mount flags on host root directory").
    # The volume carries what image layers contain, setuid programs and all.
    engine create --name "$NAME" \
        --network "container:$NAME-network" \
        --user "$RUNNER_ID:$RUNNER_ID" --cap-drop all --cap-add SETUID --cap-add SETGID \
        --security-opt "seccomp=$SECCOMP_PROFILE" "${SECURITY_FLAGS[@]}" "${LIMIT_FLAGS[@]}" \
        --tmpfs /tmp:rw,nosuid,nodev,exec,mode=1777 --tmpfs /var/tmp:rw,nosuid,nodev,exec,mode=1777 \
        --mount type=tmpfs,destination=/run/supervisor,tmpfs-mode=0700,U=true \
        --volume "$NAME:/workspace:rw,exec,suid,dev" \
        --volume "$RUN/repository:/repository:ro" \
        --volume "$RUN/termination-log:/dev/termination-log:rw" \
        --env REGISTRY="$REGISTRY" \
        --env SUPERVISOR_STORAGE__INSECURE_REGISTRIES="$REGISTRY" \
        --env SUPERVISOR_LOCAL__EVENT="$EVENT" \
        --env SUPERVISOR_TERMINATION_GRACE_PERIOD="${GRACE}s" \
        --stop-signal TERM --stop-timeout "$GRACE" --log-driver none \
        "${flags[@]}" "$RUNNER_TAG" "${arguments[@]}" >/dev/null
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
        JOB_STATUS=$(engine inspect --format '{{ .State.ExitCode }}' "$NAME")
    fi
    handle_signals
}

container_state() { engine inspect --format '{{ .State.Status }}' "$NAME"; }

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

# ── Afterwards ──────────────────────────────────────────────────────────────────────────────────────────────────────

# Looked at from outside, whatever the supervisor says. Sets LEFT to the first of what remains.
look_at_workspace() {
    LEFT=$(as_root find "$VOLUME_PATH" -mindepth 1 -printf '%M %U:%G %P\n' | printable | sed -n 1,20p)
    if [[ -n $LEFT ]] && ((JOB_STATUS == 0)); then JOB_STATUS=75; fi
}

# What a job wrote must not speak to the terminal.
printable() { tr -cd '[:print:]\n'; }

# Sets PUSHED to what the registry holds, NAME:TAG@DIGEST, without the base image that was put there first.
list_pushed() {
    local name tag digest
    PUSHED=()
    while read -r name; do
        while read -r tag; do
            digest=$(registry_digest "$name" "$tag")
            [[ "$name:$tag@$digest" != "$SEEDED_NAME:$SEEDED_TAG@$SEEDED_DIGEST" ]] || continue
            PUSHED+=("$name:$tag@$digest")
        done < <(registry_get "$name/tags/list" | jq -r '.tags // [] | .[]')
    done < <(registry_get '_catalog?n=1000' | jq -r '.repositories // [] | .[]')
}

keep_images() {
    local image name tag
    [[ -n $KEEP_IMAGES ]] || return 0
    for image in "${PUSHED[@]}"; do
        name=${image%%:*} tag=${image#*:} tag=${tag%%@*}
        mkdir -p "$KEEP_IMAGES/$name"
        logged in_network skopeo copy --quiet --all --src-tls-verify=false "docker://$REGISTRY/$name@${image#*@}" \
            "oci:$KEEP_IMAGES/$name:$tag" || die 69 "$name:$tag could not be fetched back from the registry."
        as_root chown -R "$(id -u):$(id -g)" "$KEEP_IMAGES/$name"
    done
}

# The job's user could write to the report's file too: what it says is only shown.
take_report() {
    REPORT="$RUN/report.json"
    as_root head -c 65536 "$RUN/termination-log" >"$REPORT"
    if [[ ! -s $REPORT ]]; then
        warn "the supervisor left no report."
        return
    fi
    [[ -z $KEEP_REPORT ]] || cp -- "$REPORT" "$KEEP_REPORT"
}

summary() {
    local image milliseconds title
    say ""
    say "Pushed:"
    for image in "${PUSHED[@]}"; do say "  $REGISTRY/$image"; done
    ((${#PUSHED[@]})) || say "  nothing"
    [[ -z $KEEP_IMAGES ]] || say "  kept as OCI layouts in $KEEP_IMAGES"
    say "Durations:"
    step_table
    while IFS=$'\t' read -r milliseconds title; do
        duration_line "$milliseconds" "  supervisor: $title"
    done < <(report_steps)
    if [[ -n $LEFT ]]; then
        say "Workspace: NOT empty; the first of what remains:"
        say "  ${LEFT//$'\n'/$'\n'  }"
    else
        say "Workspace: empty"
    fi
    say "Exit status of the job: $JOB_STATUS ($(report_reason))"
}

# The supervisor's own steps: milliseconds, tab, name.
report_steps() {
    jq -r '.steps[]? | [(.ms | floor), .step] | @tsv' "$REPORT" 2>/dev/null | tr -cd '[:print:]\t\n' || true
}

# Why the run ended as it did, the storage driver, and what the supervisor has to say about it.
report_reason() {
    jq -r '[.reason, (.storage_driver // empty | "storage " + .), (.message // empty)] | join("; ")' \
        "$REPORT" 2>/dev/null | printable || true
}

main() {
    parse_arguments "$@"
    handle_signals
    step "what this machine lacks"
    need_for_run
    install_missing
    require_root "running containers"
    engine_options
    scratch_directory RUN
    build_images
    step "copy of the repository"
    stage_repository
    step "network and registry"
    make_surroundings
    start_network
    start_registry
    step "job"
    create_container
    run_job
    step "results"
    take_report
    look_at_workspace
    list_pushed
    keep_images
    summary
    exit "$JOB_STATUS"
}

main "$@"
