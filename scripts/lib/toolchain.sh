# shellcheck shell=bash
# Compiling: by this machine's cargo where it is new enough, else by Debian's in a throw-away container.

BUILD_TAG=localhost/ci-cd-agents/build:trixie
CI_CD_AGENTS_BINARY=${CI_CD_AGENTS_BINARY-}
# With --target, RUSTFLAGS stay away from build scripts and procedural macros, which cannot be linked statically.
STATIC_RUSTFLAGS='-C target-feature=+crt-static'
# A static binary moves itself to where it is loaded. Packed, the list of what has to be moved is 160 KB shorter; glibc reads
# it from 2.36 on, and an older one would crash at the start.
PACKED_RELOCATIONS='-C link-arg=-Wl,-z,pack-relative-relocs'
PACKED_FROM=2.36

# The command that runs the toolchain, once it is chosen.
COMPILE=

# CI_CD_AGENTS_BUILD=host|container forces one of the two ways.
compiles_in_container() {
    case ${CI_CD_AGENTS_BUILD:-auto} in
        host) return 1 ;;
        container) return 0 ;;
        auto) ! host_can_build ;;
        *) die 64 "CI_CD_AGENTS_BUILD is host, container or auto, not \"$CI_CD_AGENTS_BUILD\"." ;;
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

# Chooses the way and names it; prepare_toolchain comes before every toolchain_cargo.
# Sets TARGET_DIRECTORY and TRIPLE.
prepare_toolchain() {
    [[ -z $COMPILE ]] || return 0
    if compiles_in_container; then
        build_toolchain_image "$BUILD_TAG" build
        COMPILE=cargo_in_container TARGET_DIRECTORY="$CACHE/container"
        say "    compiled in a container, by Debian's cargo"
    else
        COMPILE=cargo_on_host TARGET_DIRECTORY="${CARGO_TARGET_DIR:-$ROOT/target}"
        say "    compiled by this machine's cargo"
    fi
    if at_least "$("$COMPILE" getconf GNU_LIBC_VERSION | cut -d ' ' -f 2)" "$PACKED_FROM"; then
        STATIC_RUSTFLAGS+=" $PACKED_RELOCATIONS"
    fi
    TRIPLE=$("$COMPILE" rustc -vV | sed -n 's/^host: //p')
    [[ -n $TRIPLE ]] || die 69 "rustc does not say which machine it compiles for."
}

# toolchain_cargo ARGUMENT…: cargo with this checkout and for static binaries, either way.
toolchain_cargo() { "$COMPILE" cargo "$@"; }

cargo_on_host() {
    (cd "$ROOT" && RUSTFLAGS="$STATIC_RUSTFLAGS" CARGO_TARGET_DIR="$TARGET_DIRECTORY" exec "$@")
}

# Whoever edits compiles on the host; here everything is compiled once, and incremental data are work for nothing.
cargo_in_container() {
    mkdir -p "$CACHE/container"
    in_container "$BUILD_TAG" --volume "$CACHE/container:$CACHE/container" --env CARGO_HOME=/cargo \
        --env "CARGO_TARGET_DIR=$CACHE/container" --env RUSTFLAGS="$STATIC_RUSTFLAGS" \
        --env CARGO_INCREMENTAL=0 -- "$@"
}

# in_container IMAGE FLAG… -- COMMAND…: a compiler on this checkout; what it downloads is kept in /cargo.
# The checkout has the same path inside as outside, because tests compile paths in. The network is the host's, because
# packages come from wherever the host reaches them; podman passes proxy settings on. Files in target/ are the caller's.
in_container() {
    local image=$1 ca flags=()
    shift
    while [[ $1 != -- ]]; do flags+=("$1") && shift; done
    shift
    mkdir -p "$CACHE/cargo"
    ca=$(ca_bundle)
    [[ -z $ca ]] || flags+=(--volume "$ca:/run/host-ca.pem:ro" --env CARGO_HTTP_CAINFO=/run/host-ca.pem
        --env SSL_CERT_FILE=/run/host-ca.pem)
    engine run --rm --name "$(build_container)" "${LIMIT_FLAGS[@]}" --network host --cap-drop all \
        --security-opt no-new-privileges --user "$(id -u):$(id -g)" --workdir "$ROOT" \
        --volume "$ROOT:$ROOT:ro" --volume "$CACHE/cargo:/cargo" "${flags[@]}" "$image" "$@"
}

build_container() { echo "ci-cd-agents-build-$$"; }

# build_toolchain_image IMAGE DIRECTORY: from images/DIRECTORY, on the base, with Debian's packages alone.
build_toolchain_image() {
    local image=$1 containerfile="$ROOT/images/$2/Containerfile" digest context
    build_base
    on_exit engine rm --force --ignore "$(build_container)"
    digest=$(digest_of "$containerfile" "$(image_id "$BASE_TAG")")
    image_current "$image" "$digest" && return
    scratch_directory context
    say "    installing Debian's packages into $image"
    build_image debian "$image" "$digest" "$containerfile" "$context"
}

# Gives the static binary's path in CI_CD_AGENTS_BINARY; one named there by the caller is taken as it is.
build_supervisor() {
    if [[ -n $CI_CD_AGENTS_BINARY ]]; then
        [[ -x $CI_CD_AGENTS_BINARY ]] || die 66 "CI_CD_AGENTS_BINARY=$CI_CD_AGENTS_BINARY is not an executable file."
        CI_CD_AGENTS_BINARY=$(readlink -f -- "$CI_CD_AGENTS_BINARY")
        return
    fi
    prepare_toolchain
    logged toolchain_cargo build --release --locked --package supervisor --target "$TRIPLE" ||
        die 70 "compiling the supervisor failed."
    CI_CD_AGENTS_BINARY="$TARGET_DIRECTORY/$TRIPLE/release/supervisor"
    [[ -x $CI_CD_AGENTS_BINARY ]] || die 70 "cargo left no binary at $CI_CD_AGENTS_BINARY."
}
