#!/usr/bin/env bash
# Builds the images on this machine. `--help` says how.

# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

build_usage() {
    cat <<'HELP'
Usage: scripts/buildme_local.sh [--flavor github|circleci] [--refresh] [--push REGISTRY]

Builds the images in localhost/ci-cd-agents (runner:local and builder:local for the shape split, single:local for the shape
single) with podman or buildah, whichever is there. Installs missing packages and says which and why. An image
with unchanged inputs is not built again.

  --flavor NAME      then the images with that CI vendor's runner in them, …/runner-NAME:local and …/single-NAME:local;
                     repeatable
  --refresh          build anew, from nothing: no image and no layer of an earlier build is used. The packages are those of
                     the snapshot of Debian that images/versions.lock names; scripts/lock_debian.sh moves it
  --push REGISTRY    then push to REGISTRY/{runner,builder,single}:TAG (a host, or host/namespace) and print the digests.
                     Credentials: `podman login` or `skopeo login` beforehand, as root.
  --tag TAG          the tag to push as; default: the supervisor's version
  --help

Environment:
  RUNNER_IMAGE         the runner image's name here; default: localhost/ci-cd-agents/runner:local. The others lie beside it,
                       unless BUILDER_IMAGE and SINGLE_IMAGE say otherwise
  FLAVOR_IMAGE         the name of the one image that --flavor builds then, for the shape split
  BASE_IMAGE           a Debian-like image to build on; default: Debian trixie, bootstrapped from the packages of a dated
                       snapshot
  BUILDAH_SUITE        the suite that the packages of Buildah come from; default: forky, or with BASE_IMAGE the base's own.
                       BUILDAH_SUITE=trixie is the Buildah of Debian stable
  DEBIAN_MIRROR, DEBIAN_SNAPSHOT
                       mirrors of deb.debian.org and snapshot.debian.org/archive
  CI_CD_AGENTS_BUILD   host, container or auto (default): where the supervisor is compiled. auto takes the machine's cargo
                       where it is new enough, else Debian's in a throw-away container.
  CI_CD_AGENTS_BINARY  a static binary to take instead of compiling one
  CI_CD_AGENTS_LOCK    another file than images/versions.lock
  CIRCLECI_RUNNER_FILE a .deb of CircleCI's, or its program, in place of the download that the lock file pins
  CIRCLECI_RUNNER_SHA256 that file's digest, as CircleCI publishes it
HELP
}

# push_images REGISTRY TAG [FLAVOR…]: TAG may be empty.
push_images() {
    local registry=$1 tag=${2:-$(supervisor_version)} flavor
    push_image "$RUNNER_TAG" "$registry/runner:$tag"
    push_image "$BUILDER_TAG" "$registry/builder:$tag"
    push_image "$SINGLE_TAG" "$registry/single:$tag"
    for flavor in "${@:3}"; do push_flavor "$registry" "$tag" "$flavor"; done
}

# push_flavor REGISTRY TAG FLAVOR
push_flavor() {
    local base name
    while read -r base; do
        name=runner
        [[ $base != "$SINGLE_TAG" ]] || name=single
        push_image "$(flavor_image "$3" "$base")" "$1/$name-$3:$2" </dev/null
    done < <(flavor_bases)
}

# push_image IMAGE TARGET
push_image() {
    local digests
    scratch_directory digests
    step "push to $2"
    logged image_tool push --digestfile "$digests/digest" "$1" "docker://$2" ||
        die 69 "pushing to $2 failed; is the registry reachable, and did root log in to it?"
    echo "$2@$(as_root cat "$digests/digest")"
}

supervisor_version() {
    "$CI_CD_AGENTS_BINARY" --version | grep -Eo '[0-9]+\.[0-9]+\.[0-9]+[0-9A-Za-z.-]*' | head -n 1
}

build_main() {
    local registry='' tag='' flavor='' flavors=()
    while (($#)); do
        case $1 in
            --help | -h) build_usage && exit ;;
            --refresh) REFRESH=yes ;;
            --flavor) take flavor "$@" && shift && flavors+=("$flavor") ;;
            --push) take registry "$@" && shift ;;
            --tag) take tag "$@" && shift ;;
            *) die 64 "unknown argument \"$1\"; --help lists what there is." ;;
        esac
        shift
    done
    handle_signals
    step "what this machine lacks"
    need_for_build any
    for flavor in "${flavors[@]}"; do need_for_flavor "$flavor"; done
    install_missing
    require_root "building images"
    engine_options
    build_images
    for flavor in "${flavors[@]}"; do build_flavor "$flavor"; done
    [[ -z $registry ]] || push_images "${registry%/}" "$tag" "${flavors[@]}"
    say ""
    step_table
}

build_main "$@"
