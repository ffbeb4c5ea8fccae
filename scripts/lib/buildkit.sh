# shellcheck shell=bash
# BuildKit's daemon and its client, with which tests/conformance compares: from the Go module proxy, compiled here.

BUILDKIT_MODULE=github.com/moby/buildkit
BUILDKIT_VERSION=v0.34.2
# As in go.sum: the digest of the module's files. Its own go.sum has those of all other modules.
BUILDKIT_SUM=h1:fXgOe79JW5zJNDumRtwTemOklLX66otQokObUXuiGJo=

need_for_buildkit() {
    need runc runc "starts the steps of BuildKit's builds"
    need_package_unless busybox_is_static busybox-static "is all that the base image of the conformance tests contains"
}

busybox_is_static() { [[ -x /bin/busybox ]] && ! ldd /bin/busybox; }

# Sets BUILDKITD and BUILDCTL. Both are compiled once for each version and compiler.
prepare_buildkit() {
    local directory go=buildkit_go_on_host
    if [[ ${CI_CD_AGENTS_BUILD:-auto} == container ]] || ! host_has_go; then
        build_toolchain_image "$GO_TAG" build-go
        go=buildkit_go_in_container
    fi
    directory="$CACHE/go/buildkit-$(buildkit_digest "$go" | cut -c -12)"
    # shellcheck disable=SC2034 # for the tests
    BUILDKITD="$directory/buildkitd" BUILDCTL="$directory/buildctl"
    [[ ! -x $directory/buildctl ]] || return 0
    mkdir -p "$directory"
    say "    compiling BuildKit $BUILDKIT_VERSION, once: this takes minutes"
    compile_buildkit "$go" "$directory"
}

buildkit_digest() {
    { echo "$BUILDKIT_VERSION $BUILDKIT_SUM" && "$1" version; } | sha256sum
}

# compile_buildkit GO DIRECTORY: the client comes last, because its presence says that both are there.
compile_buildkit() {
    local go=$1 directory=$2 module
    module=$("$go" mod download -json "$BUILDKIT_MODULE@$BUILDKIT_VERSION") || die 69 "BuildKit could not be downloaded: $module"
    [[ $(jq -r .Sum <<<"$module") == "$BUILDKIT_SUM" ]] || die 65 "the module $BUILDKIT_MODULE@$BUILDKIT_VERSION is not the one of scripts/lib/buildkit.sh."
    module=$(jq -r .Dir <<<"$module")
    for program in buildkitd buildctl; do
        logged "$go" build -C "$module" -mod=readonly -trimpath -ldflags "-s -w -X $BUILDKIT_MODULE/version.Version=$BUILDKIT_VERSION" \
            -o "$directory/$program" "./cmd/$program" || die 70 "compiling $program failed."
    done
}

buildkit_go_on_host() { CGO_ENABLED=0 go "$@"; }

# BuildKit asks for a newer Go than Debian's, which Go fetches from the module proxy.
buildkit_go_in_container() {
    in_container "$GO_TAG" --env HOME=/cargo --env GOTOOLCHAIN=auto --env CGO_ENABLED=0 \
        --volume "$CACHE/go:$CACHE/go" -- go "$@"
}
