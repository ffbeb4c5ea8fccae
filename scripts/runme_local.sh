#!/usr/bin/env bash
# Runs one CI job on this machine, the way a pod would: a fresh container whose PID 1 is the supervisor, a fresh workspace,
# a real registry. `--help` says how.

# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/runme/repository.sh
source "$ROOT/scripts/runme/repository.sh"
# shellcheck source=scripts/runme/registry.sh
source "$ROOT/scripts/runme/registry.sh"
# shellcheck source=scripts/runme/job.sh
source "$ROOT/scripts/runme/job.sh"
# shellcheck source=scripts/runme/builder.sh
source "$ROOT/scripts/runme/builder.sh"
# shellcheck source=scripts/runme/results.sh
source "$ROOT/scripts/runme/results.sh"

SECCOMP_PROFILE="$ROOT/k8s/seccomp/buildah.json"
# The address within the job's own network namespace.
REGISTRY=127.0.0.1:5000
# The name under which the base image waits in the registry, so that a Containerfile has something to start FROM.
SEEDED_NAME=base SEEDED_TAG=trixie
# The id of `runner` in the image.
RUNNER_ID=1000
# The registry's user and group id: it parses what the job sends, so it gets no other rights.
REGISTRY_ID=65534

usage() {
    cat <<'HELP'
Usage: scripts/runme_local.sh [OPTION…] [REPOSITORY] [-- COMMAND…]

Runs the workflows of REPOSITORY as one CI job: in a fresh container, with rootless Buildah and a registry at
127.0.0.1:5000 ($REGISTRY in the job), and wipes the workspace behind it. Default: tests/fixtures/example.
REPOSITORY itself is only read; the job gets a copy with the uncommitted changes, without what git ignores.
Installs what it needs and is missing, saying what and why, and builds the images when something changed.
The exit status is the job's.

  --shape split|single split (default): the job has no privilege, and a builder in a container beside it builds and pushes
                       when asked; single: Buildah runs in the job's own container
  --flavor local|exec  local (default) runs the repository's workflows; exec runs COMMAND, and is implied by it
  --event EVENT        the event that triggers the workflows; default: push
  --secrets DIR        a directory with one file for each secret; the job gets a copy
  --env NAME=VALUE     a variable for the job, or a setting of the supervisor (SUPERVISOR_…); repeatable. Not for secrets:
                       this machine's other users see it while the job runs
  --builder-env NAME=VALUE
                       a setting of the builder (SUPERVISOR_…); repeatable
  --builder-secrets DIR
                       secrets that only the builder gets: .dockerconfigjson
  --image-store DIR    a directory with images that the builder may use and not change: a storage of Buildah's
  --name NAME          the container's name; default: ci-cd-agents-RANDOM
  --grace SECONDS      how long the job and its wipe have to end after a signal; default: 60, at least 3
  --keep-images DIR    copy each image that the job pushed to DIR/NAME, an OCI layout with its tag
  --keep-report FILE   copy the supervisor's report (JSON) to FILE, and the builder's to FILE.builder
  --refresh            build the images anew, with the distribution's packages of today
  --help

The job finds the base image at 127.0.0.1:5000/base:trixie. BASE_IMAGE, CI_CD_AGENTS_BUILD and CI_CD_AGENTS_BINARY are
those of scripts/buildme_local.sh.
HELP
}

SHAPE=split FLAVOR='' EVENT=push SECRETS='' NAME='' GRACE=60 KEEP_IMAGES='' KEEP_REPORT='' REPOSITORY='' BUILDER_SECRETS=''
IMAGE_STORE=''
ENVIRONMENT=()
BUILDER_ENVIRONMENT=()
COMMAND=()

parse_arguments() {
    local variable
    while (($#)); do
        case $1 in
            --help | -h) usage && exit ;;
            --shape) take SHAPE "$@" && shift ;;
            --builder-env) take variable "$@" && shift && BUILDER_ENVIRONMENT+=("$variable") ;;
            --builder-secrets) take BUILDER_SECRETS "$@" && shift ;;
            --image-store) take IMAGE_STORE "$@" && shift ;;
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
            -*) reject_option "$1" ;;
            *) [[ -z $REPOSITORY ]] || die 64 "one repository at a time: \"$REPOSITORY\" and \"$1\" were given."
                REPOSITORY=$1 ;;
        esac
        shift
    done
    check_arguments
}

check_arguments() {
    : "${FLAVOR:=$( ((${#COMMAND[@]})) && echo exec || echo local)}"
    case $FLAVOR in
        local) ((${#COMMAND[@]} == 0)) || die 64 "the flavor local takes no command; --flavor exec does." ;;
        exec) ((${#COMMAND[@]})) || die 64 "the flavor exec needs a command after --." ;;
        *) die 64 "--flavor is local or exec, not \"$FLAVOR\"." ;;
    esac
    case $SHAPE in split | single) ;; *) die 64 "--shape is split or single, not \"$SHAPE\"." ;; esac
    [[ $SHAPE == split || -z "$BUILDER_SECRETS$IMAGE_STORE${BUILDER_ENVIRONMENT[*]}" ]] ||
        die 64 "--builder-env, --builder-secrets and --image-store are for the shape split, where there is a builder."
    [[ $GRACE =~ ^[0-9]+$ && $GRACE -ge 3 ]] || die 64 "--grace is a number of seconds, at least 3, not \"$GRACE\"."
    [[ $EVENT =~ ^[a-z_]+$ ]] || die 64 "--event is the name of a GitHub event, such as push, not \"$EVENT\"."
    [[ -z $NAME || $NAME =~ ^[a-zA-Z0-9][a-zA-Z0-9_.-]*$ ]] ||
        die 64 "--name begins with a letter or digit and has letters, digits, \"_\", \".\" and \"-\", unlike \"$NAME\"."
    [[ -z $KEEP_REPORT || -d $(dirname -- "$KEEP_REPORT") ]] || die 66 "--keep-report $KEEP_REPORT: there is no such directory."
    [[ -z $KEEP_IMAGES ]] || mkdir -p -- "$KEEP_IMAGES" || die 66 "--keep-images $KEEP_IMAGES cannot be made."
    [[ -z $SECRETS || -d $SECRETS ]] || die 66 "--secrets $SECRETS is not a directory."
    [[ -z $BUILDER_SECRETS || -d $BUILDER_SECRETS ]] || die 66 "--builder-secrets $BUILDER_SECRETS is not a directory."
    [[ -z $IMAGE_STORE || -d $IMAGE_STORE ]] || die 66 "--image-store $IMAGE_STORE is not a directory."
    [[ -z $REPOSITORY || -d $REPOSITORY ]] || die 66 "$REPOSITORY is not a directory."
    : "${NAME:=ci-cd-agents-$(printf '%04x%04x' "$RANDOM" "$RANDOM")}"
}

# The script removes everything under this name at its end, so the name must be free.
require_new_name() {
    local kind
    for kind in "container $NAME" "container $NAME-network" "volume $NAME"; do
        # shellcheck disable=SC2086 # two words
        ! engine ${kind% *} exists "${kind#* }" || die 64 "--name $NAME: there is a $kind already."
    done
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
    require_new_name
    make_surroundings
    start_network
    start_registry
    step "job"
    if [[ $SHAPE == split ]]; then start_builder; fi
    create_container
    run_job
    if [[ $SHAPE == split ]]; then end_builder; fi
    step "results"
    take_report
    look_at_workspace
    list_pushed
    keep_images
    summary
    exit "$JOB_STATUS"
}

main "$@"
