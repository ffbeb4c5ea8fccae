# shellcheck shell=bash
# Images that are built only when what they are made of has changed, and the pinned downloads in them.

# podman where it is there, else buildah: both build, store and push in the same place.
image_tool() {
    if have podman; then engine "$@"; else as_root buildah "$@"; fi
}

# image_label IMAGE KEY: the label's value, or nothing where the image or the label is missing.
image_label() {
    if have podman; then
        engine image inspect --format "{{ index .Labels \"$2\" }}" "$1" 2>/dev/null || true
    else
        as_root buildah inspect --type image --format "{{ index .OCIv1.Config.Labels \"$2\" }}" "$1" 2>/dev/null || true
    fi
}

image_id() {
    if have podman; then
        engine image inspect --format '{{ .Id }}' "$1" 2>/dev/null || true
    else
        as_root buildah inspect --type image --format '{{ .FromImageID }}' "$1" 2>/dev/null || true
    fi
}

# One label holds the digest of all inputs of an image. If it equals the digest of today's inputs, the image is current.
INPUTS_LABEL=io.github.ci-cd-agents.inputs
# Not empty: build anew, whatever the labels say.
REFRESH=

# image_current IMAGE DIGEST
image_current() { [[ $(image_label "$1" "$INPUTS_LABEL") == "$2" ]]; }

# digest_of FILE-OR-TEXT…: one digest over the files' content and the other arguments' text.
digest_of() {
    local input
    for input in "$@"; do
        if [[ -f $input ]]; then sha256sum <"$input"; else printf 'text %s\n' "$input"; fi
    done | sha256sum | cut -d ' ' -f 1
}

# The functions that several Containerfiles call, an input of the images that have them.
IMAGE_SETUP="$ROOT/images/common/setup.sh"

# The suite that Buildah comes from. Empty: forky on our own base image, and the base's own sources on another base.
BUILDAH_SUITE=${BUILDAH_SUITE-}

# has_argument CONTAINERFILE NAME
has_argument() { grep -q "^ARG $2\$" "$1"; }

# buildah_suite BASE CONTAINERFILE: the suite that the image's Buildah comes from, or nothing if it is the base's own or the image
# has no Buildah. BASE is as for build_image.
buildah_suite() {
    local suite=$BUILDAH_SUITE
    has_argument "$2" BUILDAH_SUITE || return 0
    [[ $1 != debian ]] || suite=${suite:-forky}
    [[ $1 == debian && $suite == "$BASE_SUITE" ]] || echo "$suite"
}

# debian_releases BASE CONTAINERFILE: the releases of Debian that the image's packages come from, on our own base image.
debian_releases() {
    local suite
    [[ $1 == debian ]] || return 0
    echo "$BASE_SUITE"
    suite=$(buildah_suite "$@")
    [[ ${suite%%-*} == "$BASE_SUITE" || -z $suite ]] || echo "${suite%%-*}"
}

# image_outdated BASE IMAGE CONTAINERFILE INPUT…: whether the image has to be built. INPUT is as for digest_of; BASE is as for
# build_image. Sets INPUTS to the digest of all inputs, the packages of Debian included.
image_outdated() {
    local base=$1 image=$2 releases
    shift 2
    mapfile -t releases < <(debian_releases "$base" "$1")
    INPUTS=$(digest_of "$@" "$(locked_debian "${releases[@]}")")
    # The locked packages are the same from whichever server they come, so an image of them needs no look at one.
    if [[ -z $REFRESH ]] && image_current "$image" "$INPUTS"; then return 1; fi
    ((${#releases[@]})) || return 0
    choose_debian "${releases[@]}"
    [[ $DEBIAN_SOURCE == unpinned ]] || return 0
    INPUTS=$(digest_of "$INPUTS" unpinned)
    [[ -n $REFRESH ]] || ! image_current "$image" "$INPUTS"
}

# build_image BASE IMAGE INPUTS-DIGEST CONTAINERFILE CONTEXT [FLAG…]: BASE is `debian` for what is made of our own base image
# and so of the locked snapshot, `other` for what is made of a base that the user names.
# chroot isolation needs neither a runtime nor cgroups nor a network of its own, and what runs here is our own Containerfile.
build_image() {
    local base=$1 image=$2 digest=$3 containerfile=$4 context=$5 before configuration suite releases packages='' flags=()
    shift 5
    before=$(image_id "$image")
    # A directory that every image has: podman would leave the mount point of a file behind in the image.
    scratch_directory configuration
    chmod 0755 "$configuration"
    suite=$(buildah_suite "$base" "$containerfile")
    [[ -z $suite ]] || flags+=(--build-arg "BUILDAH_SUITE=$suite")
    mapfile -t releases < <(debian_releases "$base" "$containerfile")
    if ((${#releases[@]})); then
        choose_debian "${releases[@]}"
        apt_configuration "$configuration" "$DEBIAN_SOURCE" "${releases[@]}"
        packages="$(locked_debian "${releases[@]}") $([[ $DEBIAN_SOURCE != unpinned ]] || echo unpinned)"
    else
        apt_configuration "$configuration"
    fi
    if has_argument "$containerfile" SETUP; then
        install -m 0644 "$IMAGE_SETUP" "$configuration/setup.sh"
        flags+=(--build-arg "SETUP=$(digest_of "$IMAGE_SETUP" "$packages")")
    fi
    flags+=(--volume "$configuration:/mnt:ro")
    [[ -z $REFRESH ]] || flags+=(--no-cache)
    logged image_tool build --isolation chroot --layers --format oci --tag "$image" --label "$INPUTS_LABEL=$digest" \
        "${flags[@]}" "$@" --file "$containerfile" "$context" || die 70 "building $image failed."
    # The image that this one replaces would stay behind without a name. Another image may be made from it; then it stays.
    if [[ -n $before && $before != "$(image_id "$image")" ]]; then
        image_tool rmi "$before" >/dev/null 2>&1 || true
    fi
}

LOCK=${CI_CD_AGENTS_LOCK:-$ROOT/images/versions.lock}

architecture() { dpkg --print-architecture; }

# locked NAME: prints the lock file's line for this machine's architecture.
locked() {
    grep -E "^$1 [^ ]+ $(architecture) " "$LOCK" ||
        die 69 "$LOCK has no $1 for $(architecture)."
}

# replace_locked NAME FILE: the lines of FILE take the place of the lock file's lines of that name, a basic regular expression.
replace_locked() {
    local locked
    locked=$({ grep -v "^$1 " "$LOCK" || true; cat "$2"; })
    printf '%s\n' "$locked" >"$LOCK"
}

# download NAME VARIABLE: fetches a locked file into the cache, verifies it, and gives its path.
download() {
    local -n download_result=$2
    local name version arch url sha256 part
    read -r name version arch url sha256 < <(locked "$1")
    download_result="$CACHE/downloads/$name-$version-$arch-${sha256:0:12}"
    has_digest "$download_result" "$sha256" && return
    mkdir -p "$CACHE/downloads"
    # Another start may be fetching the same.
    part="$download_result.part.$$"
    on_exit rm -f -- "$part"
    logged curl --fail --silent --show-error --location --retry 3 --output "$part" "$url" ||
        die 69 "$name $version could not be downloaded from $url."
    has_digest "$part" "$sha256" ||
        die 65 "$url is not the file that $LOCK names: its sha256 differs."
    mv -- "$part" "$download_result"
}

# has_digest FILE SHA256
has_digest() { [[ -f $1 && $(sha256sum <"$1" | cut -d ' ' -f 1) == "$2" ]]; }

BASE_TAG=localhost/ci-cd-agents/base:trixie
BASE_SUITE=trixie
BASE_PACKAGES='ca-certificates'

BASE_DONE=

# Bootstraps the base image from Debian's packages, unless it is there already.
build_base() {
    local containerfile="$ROOT/images/base/Containerfile" context
    [[ -z $BASE_DONE ]] || return 0
    BASE_DONE=yes
    image_outdated debian "$BASE_TAG" "$containerfile" "$BASE_SUITE" "$BASE_PACKAGES" || return 0
    scratch_directory context
    say "    bootstrapping Debian $BASE_SUITE"
    bootstrap "$context" || die 70 "bootstrapping Debian $BASE_SUITE failed."
    build_image debian "$BASE_TAG" "$INPUTS" "$containerfile" "$context"
}

# bootstrap DIRECTORY: a root file system in DIRECTORY/rootfs.tar. What is installed in the finished image later comes from
# the mirror, as on any Debian.
bootstrap() {
    local files verify=()
    scratch_directory files
    apt_configuration "$files" "$DEBIAN_SOURCE" "$BASE_SUITE"
    grep -v -- -backports "$files/debian.list" >"$files/bootstrap.list"
    grep -v -- -backports < <(debian_sources mirror "$BASE_SUITE") >"$files/sources.list"
    if [[ $DEBIAN_SOURCE != unpinned ]]; then
        verify=(--aptopt='Acquire::Check-Valid-Until "false"'
            --customize-hook="rm -f \"\$1/etc/apt/apt.conf.d/99mmdebstrap\""
            --customize-hook="sh '$files/verify_snapshot.sh' '$files/digests' \"\$1/var/lib/apt/lists\"")
    fi
    logged as_root mmdebstrap --variant=minbase --include="$BASE_PACKAGES" "${verify[@]}" \
        --customize-hook="install -m 0644 '$files/sources.list' \"\$1/etc/apt/sources.list\"" \
        "$BASE_SUITE" "$1/rootfs.tar" "$files/bootstrap.list"
}
