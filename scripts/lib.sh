# shellcheck shell=bash
# What the scripts share: messages, timed steps, clean-up, missing packages, the container engine, the supervisor's build.
# Sourced, never run. Everything it prints goes to stderr, so that stdout stays the job's.

set -euo pipefail

# One locale for everything that is parsed here, and the administrator's programs for users whose PATH lacks them.
export LC_ALL=C.UTF-8
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
# Downloads and build results that a later start finds again; one place, ignored by git, gone with `rm -r target`.
CACHE="$ROOT/target/ci-cd-agents"

# ── Messages ────────────────────────────────────────────────────────────────────────────────────────────────────────

say() { printf '%s\n' "$*" >&2; }
warn() { printf 'warning: %s\n' "$*" >&2; }

# die STATUS SENTENCE
die() {
    local status=$1
    shift
    printf 'error: %s\n' "$*" >&2
    exit "$status"
}

# ── Steps ───────────────────────────────────────────────────────────────────────────────────────────────────────────

STEP_TITLES=()
STEP_MILLISECONDS=()
STEP_STARTED=0

now_milliseconds() {
    # The separator follows the locale's decimal point.
    echo $((${EPOCHREALTIME/[.,]/} / 1000))
}

# step TITLE: ends the step before it and starts the next.
step() {
    step_end
    STEP_TITLES+=("$1")
    STEP_STARTED=$(now_milliseconds)
    say "==> $1"
}

step_end() {
    ((STEP_STARTED)) || return 0
    STEP_MILLISECONDS+=($(($(now_milliseconds) - STEP_STARTED)))
    STEP_STARTED=0
}

# The table of steps, a line each: seconds, title.
step_table() {
    step_end
    local i
    for i in "${!STEP_TITLES[@]}"; do
        duration_line "${STEP_MILLISECONDS[i]}" "${STEP_TITLES[i]}"
    done
}

# duration_line MILLISECONDS TITLE
duration_line() {
    printf '  %6d.%03d s  %s\n' $(($1 / 1000)) $(($1 % 1000)) "$2" >&2
}

# ── Clean-up ────────────────────────────────────────────────────────────────────────────────────────────────────────

CLEANUPS=()
CHILD=

# on_exit COMMAND ARGUMENT…: runs on every way out but SIGKILL, the last registered first.
on_exit() {
    local quoted
    printf -v quoted '%q ' "$@"
    CLEANUPS+=("$quoted")
}

run_cleanups() {
    local status=$? i
    # A second Ctrl-C must not leave half of it undone.
    trap '' INT TERM HUP
    trap - EXIT
    stop_child
    for ((i = ${#CLEANUPS[@]} - 1; i >= 0; i--)); do
        eval "${CLEANUPS[i]}" >/dev/null || warn "clean-up failed: ${CLEANUPS[i]}"
    done
    exit "$status"
}

stop_child() {
    [[ -n $CHILD && -e /proc/$CHILD ]] || return 0
    as_root kill -TERM "$CHILD" 2>/dev/null || true
    wait "$CHILD" 2>/dev/null || true
}

handle_signals() {
    trap run_cleanups EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

# scratch_directory VARIABLE: a private directory that is gone when the script ends.
scratch_directory() {
    local -n scratch_result=$1
    scratch_result=$(mktemp -d "${TMPDIR:-/tmp}/ci-cd-agents.XXXXXXXX")
    on_exit as_root rm -rf --one-file-system -- "$scratch_result"
}

# logged COMMAND ARGUMENT…: runs a long command; shows that it is alive while it runs, and its output only if it fails.
# It runs in the background because bash handles a signal during `wait`, but not during a foreground command.
logged() {
    local log status=0
    log=$(mktemp "${TMPDIR:-/tmp}/ci-cd-agents.log.XXXXXXXX")
    on_exit rm -f -- "$log"
    "$@" >"$log" 2>&1 </dev/null &
    CHILD=$!
    follow_child "$log"
    wait "$CHILD" || status=$?
    CHILD=
    if ((status)); then
        say "    failed with status $status: $1 ${2-} …; its last lines:"
        tail -n 40 -- "$log" | sed 's/^/    | /' >&2
    fi
    rm -f -- "$log"
    return "$status"
}

# On a terminal the last line of the log, rewritten in place; elsewhere a line every 20 seconds.
follow_child() {
    local log=$1 ticks=0 last
    while [[ -e /proc/$CHILD ]]; do
        sleep 0.2
        ticks=$((ticks + 1))
        if [[ -t 2 ]]; then
            last=$(tail -n 1 -- "$log" | tr -cd '[:print:]' | cut -c -100)
            printf '\r\033[K    %s' "$last" >&2
        elif ((ticks % 100 == 0)); then
            say "    … $((ticks / 5)) s: $(tail -n 1 -- "$log" | tr -cd '[:print:]' | cut -c -100)"
        fi
    done
    if [[ -t 2 ]]; then printf '\r\033[K' >&2; fi
}

# ── Rights and packages ─────────────────────────────────────────────────────────────────────────────────────────────

as_root() {
    if ((EUID == 0)); then
        "$@"
    else
        sudo -- "$@"
    fi
}

require_root() {
    ((EUID == 0)) && return
    have sudo || die 77 "$1 needs root: run this script as root, or install sudo and allow it for $(id -un)."
    sudo -v || die 77 "$1 needs root, and sudo refused it to $(id -un)."
}

have() { command -v "$1" >/dev/null 2>&1; }

MISSING_PACKAGES=()
MISSING_REASONS=()

# need COMMAND PACKAGE WHY
need() {
    have "$1" || need_package "$2" "$3"
}

# need_package PACKAGE WHY: for what the caller has found missing by other means than a command.
need_package() {
    [[ " ${MISSING_PACKAGES[*]} " != *" $1 "* ]] || return 0
    MISSING_PACKAGES+=("$1")
    MISSING_REASONS+=("$2")
}

# Installs what `need` found missing, by name and reason. Touches nothing, not even apt's index, when nothing is missing.
install_missing() {
    local packages=("${MISSING_PACKAGES[@]}") i
    ((${#packages[@]})) || return 0
    for i in "${!packages[@]}"; do
        say "    missing: ${packages[i]} (${MISSING_REASONS[i]})"
    done
    MISSING_PACKAGES=() MISSING_REASONS=()
    have apt-get || die 69 "these packages are missing and there is no apt-get here to install them; install by hand: ${packages[*]}."
    if ((EUID != 0)) && ! have sudo; then
        die 77 "these packages are missing and installing them needs root or sudo; have an administrator run: apt-get install ${packages[*]}."
    fi
    require_root "installing packages"
    keep_services_off "${packages[@]}"
    logged as_root env DEBIAN_FRONTEND=noninteractive apt-get update ||
        die 69 "apt-get update failed; install by hand: ${packages[*]}."
    logged as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "${packages[@]}" ||
        die 69 "apt-get could not install: ${packages[*]}."
}

# Debian starts a service as soon as its package is installed, and docker-registry's listens on every address.
# Only its program is wanted here.
keep_services_off() {
    [[ " $* " == *" docker-registry "* && -d /run/systemd/system ]] || return 0
    as_root systemctl mask --runtime --quiet docker-registry.service
    on_exit as_root systemctl unmask --runtime --quiet docker-registry.service
    on_exit as_root systemctl disable --quiet docker-registry.service
}

# ── The container engine ────────────────────────────────────────────────────────────────────────────────────────────

ENGINE_FLAGS=()
LIMIT_FLAGS=()
SECURITY_FLAGS=()

# Looks at the machine once and fills the flags that podman needs on it.
engine_options() {
    local files processes
    ENGINE_FLAGS=() LIMIT_FLAGS=() SECURITY_FLAGS=()
    # crun refuses cgroups v1 and hybrid ones; runc takes them.
    unified_cgroups || ENGINE_FLAGS+=(--runtime runc)
    # Without systemd nobody would create the scopes that podman asks for.
    [[ -d /run/systemd/system ]] || ENGINE_FLAGS+=(--cgroup-manager cgroupfs)

    # podman asks for limits that only CAP_SYS_RESOURCE may raise. The machine's own are the highest that work everywhere,
    # and podman lowers its own process limit to pid_max first.
    files=$(lower_limit "$(ulimit -Hn)" 1048576)
    processes=$(lower_limit "$(ulimit -Hu)" "$(cat /proc/sys/kernel/pid_max)")
    LIMIT_FLAGS=(--ulimit "nofile=$files:$files" --ulimit "nproc=$processes:$processes")

    # AppArmor's default profile for containers forbids mount, which every image build needs.
    if [[ $(cat /sys/module/apparmor/parameters/enabled 2>/dev/null) == Y ]]; then
        # shellcheck disable=SC2034 # for the scripts that start containers
        SECURITY_FLAGS=(--security-opt apparmor=unconfined)
    fi
}

unified_cgroups() { [[ $(stat -f -c %T /sys/fs/cgroup) == cgroup2fs ]]; }

# lower_limit LIMIT OTHER: the lower of two numbers, the first of which may be "unlimited".
lower_limit() {
    if [[ $1 == unlimited ]] || (($1 > $2)); then echo "$2"; else echo "$1"; fi
}

# podman, as root: a rootless one would put a second user namespace around the one under test.
engine() { as_root podman "${ENGINE_FLAGS[@]}" "$@"; }

# The machine's CA bundle, if it names one or has the usual one; prints nothing otherwise.
ca_bundle() {
    local file
    for file in "${SSL_CERT_FILE-}" "${CURL_CA_BUNDLE-}" "${REQUESTS_CA_BUNDLE-}" /etc/ssl/certs/ca-certificates.crt; do
        if [[ -n $file && -s $file ]]; then
            readlink -f -- "$file"
            return
        fi
    done
}

# ── Images ──────────────────────────────────────────────────────────────────────────────────────────────────────────

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

# Everything an image is made of, in one label: an image whose label equals the digest need not be built again.
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

# build_image IMAGE INPUTS-DIGEST CONTAINERFILE CONTEXT [FLAG…]
# chroot isolation needs neither a runtime nor cgroups nor a network of its own, and what runs here is our own Containerfile.
build_image() {
    local image=$1 digest=$2 containerfile=$3 context=$4 before ca trust flags=()
    shift 4
    before=$(image_id "$image")
    ca=$(ca_bundle)
    if [[ -n $ca ]]; then
        # A directory that every image has: podman would leave the mount point of a file behind in the image.
        scratch_directory trust
        install -m 0644 -- "$ca" "$trust/host-ca.pem"
        flags+=(--volume "$trust:/mnt:ro")
    fi
    [[ -z $REFRESH ]] || flags+=(--no-cache)
    logged image_tool build --isolation chroot --layers --format oci --tag "$image" --label "$INPUTS_LABEL=$digest" \
        "${flags[@]}" "$@" --file "$containerfile" "$context" || die 70 "building $image failed."
    # The image that this one replaces would stay behind without a name. Another image may be made from it; then it stays.
    if [[ -n $before && $before != "$(image_id "$image")" ]]; then
        image_tool rmi "$before" >/dev/null 2>&1 || true
    fi
}

# ── Downloads ───────────────────────────────────────────────────────────────────────────────────────────────────────

LOCK="$ROOT/images/versions.lock"

architecture() { dpkg --print-architecture; }

# locked NAME: prints the lock file's line for this machine's architecture.
locked() {
    grep -E "^$1 [^ ]+ $(architecture) " "$LOCK" ||
        die 69 "images/versions.lock has no $1 for $(architecture)."
}

# download NAME VARIABLE: fetches a locked file into the cache, verifies it, and gives its path.
download() {
    local -n download_result=$2
    local name version arch url sha256
    read -r name version arch url sha256 < <(locked "$1")
    download_result="$CACHE/downloads/$name-$version-$arch-${sha256:0:12}"
    has_digest "$download_result" "$sha256" && return
    mkdir -p "$CACHE/downloads"
    logged curl --fail --silent --show-error --location --retry 3 --output "$download_result.part" "$url" ||
        die 69 "$name $version could not be downloaded from $url."
    has_digest "$download_result.part" "$sha256" ||
        die 65 "$url is not the file that images/versions.lock names: its sha256 differs."
    mv -- "$download_result.part" "$download_result"
}

# has_digest FILE SHA256
has_digest() { [[ -f $1 && $(sha256sum <"$1" | cut -d ' ' -f 1) == "$2" ]]; }

# ── The supervisor's binary ─────────────────────────────────────────────────────────────────────────────────────────

BASE_TAG=localhost/ci-cd-agents/base:trixie
BUILD_TAG=localhost/ci-cd-agents/build:trixie
SUPERVISOR_BINARY=${SUPERVISOR_BINARY-}

# Gives the static binary's path in SUPERVISOR_BINARY; one named there by the caller is taken as it is.
# SUPERVISOR_BUILD=host|container forces one of the two ways.
build_supervisor() {
    if [[ -n $SUPERVISOR_BINARY ]]; then
        [[ -x $SUPERVISOR_BINARY ]] || die 66 "SUPERVISOR_BINARY=$SUPERVISOR_BINARY is not an executable file."
        return
    fi
    if compiles_in_container; then build_supervisor_in_container; else build_supervisor_on_host; fi
    [[ -x $SUPERVISOR_BINARY ]] || die 70 "cargo left no binary at $SUPERVISOR_BINARY."
}

compiles_in_container() {
    case ${SUPERVISOR_BUILD:-auto} in
        host) return 1 ;;
        container) return 0 ;;
        auto) ! host_can_build ;;
        *) die 64 "SUPERVISOR_BUILD is host, container or auto, not \"$SUPERVISOR_BUILD\"." ;;
    esac
}

# A toolchain new enough, and what a static binary is linked from.
host_can_build() {
    local version libc
    have cargo && have rustc && have cc || return 1
    version=$(cd "$ROOT" && cargo --version 2>/dev/null | cut -d ' ' -f 2) || return 1
    at_least "$version" "$(required_rust)" || return 1
    libc=$(cc -print-file-name=libc.a)
    [[ $libc == /* ]]
}

required_rust() { sed -n 's/^rust-version *= *"\([^"]*\)".*/\1/p' "$ROOT/Cargo.toml"; }

# at_least VERSION WANTED
at_least() { [[ -n $1 && $(printf '%s\n%s\n' "$2" "$1" | sort --version-sort | head -n 1) == "$2" ]]; }

# With --target, RUSTFLAGS stay away from build scripts and procedural macros, which cannot be linked statically.
STATIC_RUSTFLAGS='-C target-feature=+crt-static'

build_supervisor_on_host() {
    local triple directory
    triple=$(rustc -vV | sed -n 's/^host: //p')
    directory=${CARGO_TARGET_DIR:-$ROOT/target}
    say "    compiled by this machine's cargo"
    logged env RUSTFLAGS="$STATIC_RUSTFLAGS" CARGO_TARGET_DIR="$directory" cargo build \
        --manifest-path "$ROOT/Cargo.toml" --release --locked --package supervisor --target "$triple" ||
        die 70 "compiling the supervisor failed."
    SUPERVISOR_BINARY="$directory/$triple/release/supervisor"
}

build_supervisor_in_container() {
    local ca triple name flags=()
    build_toolchain_image
    triple=$(engine run --rm "${LIMIT_FLAGS[@]}" --network none "$BUILD_TAG" rustc -vV | sed -n 's/^host: //p')
    mkdir -p "$CACHE/cargo" "$CACHE/build"
    ca=$(ca_bundle)
    [[ -z $ca ]] || flags+=(--volume "$ca:/run/host-ca.pem:ro" --env CARGO_HTTP_CAINFO=/run/host-ca.pem)
    name="ci-cd-agents-build-$$"
    on_exit engine rm --force --ignore "$name"
    say "    compiled in a container, by Debian's cargo"
    # The host's network, because the crates come from wherever the host reaches them; proxies are passed on by podman.
    # As the caller, so that the files in target/ are the caller's.
    logged engine run --rm --name "$name" "${LIMIT_FLAGS[@]}" --network host --cap-drop all \
        --user "$(id -u):$(id -g)" --volume "$ROOT:/src:ro" --volume "$CACHE/build:/build" --volume "$CACHE/cargo:/cargo" \
        --env CARGO_HOME=/cargo --env CARGO_TARGET_DIR=/build --env RUSTFLAGS="$STATIC_RUSTFLAGS" "${flags[@]}" \
        "$BUILD_TAG" cargo build --release --locked --package supervisor --target "$triple" ||
        die 70 "compiling the supervisor failed."
    SUPERVISOR_BINARY="$CACHE/build/$triple/release/supervisor"
}

build_toolchain_image() {
    local containerfile="$ROOT/images/build/Containerfile" digest context
    build_base
    digest=$(digest_of "$containerfile" "$(image_id "$BASE_TAG")")
    image_current "$BUILD_TAG" "$digest" && return
    scratch_directory context
    build_image "$BUILD_TAG" "$digest" "$containerfile" "$context"
}

# ── The base image ──────────────────────────────────────────────────────────────────────────────────────────────────

BASE_SUITE=trixie
BASE_PACKAGES='ca-certificates'

BASE_DONE=

# Bootstraps the base image from Debian's packages, unless it is there already.
build_base() {
    local containerfile="$ROOT/images/base/Containerfile" digest context
    [[ -z $BASE_DONE ]] || return 0
    BASE_DONE=yes
    digest=$(digest_of "$containerfile" "$BASE_SUITE" "$BASE_PACKAGES")
    if [[ -z $REFRESH ]] && image_current "$BASE_TAG" "$digest"; then return; fi
    scratch_directory context
    say "    bootstrapping Debian $BASE_SUITE"
    logged as_root mmdebstrap --variant=minbase --include="$BASE_PACKAGES" "$BASE_SUITE" "$context/rootfs.tar" ||
        die 70 "bootstrapping Debian $BASE_SUITE failed."
    build_image "$BASE_TAG" "$digest" "$containerfile" "$context"
}
