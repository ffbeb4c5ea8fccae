# shellcheck shell=bash
# cargo-deny: what the workspace may depend on, as deny.toml says.

DENY_VERSION=0.20.2

# Checks bans, licenses and sources. deny.toml says why advisories are left out.
check_dependencies() {
    local tools
    prepare_deny
    logged "$COMPILE" "$tools/bin/cargo-deny" --locked --log-level error check --hide-inclusion-graph bans licenses sources ||
        die 1 "a dependency is not as deny.toml demands."
}

# Compiles cargo-deny once a version, without optimization: it runs for a second. Sets the caller's `tools` to its directory,
# as the toolchain sees it.
prepare_deny() {
    local name="deny-$DENY_VERSION"
    tools="$CACHE/cargo/$name"
    [[ $COMPILE != cargo_in_container ]] || tools="/cargo/$name"
    [[ ! -x $CACHE/cargo/$name/bin/cargo-deny ]] || return 0
    say "    compiling cargo-deny $DENY_VERSION"
    mkdir -p "$CACHE/cargo"
    logged toolchain_cargo install cargo-deny --version "$DENY_VERSION" --locked --debug --config profile.dev.debug=false \
        --target "$TRIPLE" --target-dir "$TARGET_DIRECTORY/$name" --root "$tools" || die 70 "compiling cargo-deny failed."
    rm -rf -- "${TARGET_DIRECTORY:?}/$name"
}
