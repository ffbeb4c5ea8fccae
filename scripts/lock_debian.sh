#!/usr/bin/env bash
# Moves the images' snapshot of Debian to another date in images/versions.lock. `--help` says how.

# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Buildah comes from forky, everything else from trixie.
SUITES=(trixie trixie-updates trixie-backports trixie-security forky)

debian_usage() {
    cat <<'HELP'
Usage: scripts/lock_debian.sh [--no-tests] [DATE]

Pins Debian's packages of DATE (YYYYMMDDTHHMMSSZ; default: now) in images/versions.lock: the digest of each suite's InRelease
as snapshot.debian.org has it for that date. If that archive is out of reach and no DATE is given, the mirror's of now.
Then builds all images anew and runs scripts/test.sh. If a test fails, the lock file is as it was before.

  --no-tests    only write the lock file
  --help

Environment, for mirrors: DEBIAN_MIRROR, DEBIAN_SNAPSHOT, CI_CD_AGENTS_LOCK (another lock file).
HELP
}

archive_of() { if [[ $1 == *-security ]]; then echo debian-security; else echo debian; fi; }

# write_lines SOURCE DATE FILE: the lock's lines, as the snapshot archive or the mirror serves the suites.
write_lines() {
    local suite archive sha256
    for suite in "${SUITES[@]}"; do
        archive=$(archive_of "$suite")
        sha256=$(served_digest "$(debian_address "$1" "$archive" "$2")" "$suite") || return 1
        echo "debian-$suite $2 all https://snapshot.debian.org/archive/$archive/$2/dists/$suite/InRelease $sha256"
    done >"$3"
}

# lock_snapshot DATE SCRATCH: DATE may be empty, for now.
lock_snapshot() {
    local date=${1:-$(date -u +%Y%m%dT%H%M%SZ)}
    if write_lines snapshot "$date" "$2/lines"; then
        say "    Debian of $date, from the archive of snapshots"
    elif [[ -n $1 ]]; then
        die 69 "$DEBIAN_SNAPSHOT does not serve Debian of $date."
    else
        write_lines mirror "$date" "$2/lines" || die 69 "neither $DEBIAN_SNAPSHOT nor $DEBIAN_MIRROR serves Debian."
        say "    Debian of $date, from the mirror: the archive of snapshots is out of reach"
    fi
    cp -- "$LOCK" "$2/before"
    UNTESTED=yes
    on_exit restore_lock "$2"
    replace_locked debian-'[^ ]*' "$2/lines"
}

# Not empty while the lock file is not proven.
UNTESTED=

# restore_lock SCRATCH: on every way out with a lock file that is not proven.
restore_lock() {
    if [[ -n $UNTESTED ]]; then cat "$1/before" >"$LOCK"; fi
}

# Builds the images of it and runs all tests; restore_lock takes it back if that fails or is interrupted.
test_snapshot() {
    step "all images anew, and all tests"
    if ! "$ROOT/scripts/test.sh" --refresh; then
        die 1 "$LOCK is as it was before: with these packages the tests do not pass."
    fi
}

debian_main() {
    local date='' tests=yes scratch
    while (($#)); do
        case $1 in
            --help | -h) debian_usage && exit ;;
            --no-tests) tests= ;;
            -*) reject_option "$1" ;;
            *) date=$1 ;;
        esac
        shift
    done
    [[ -z $date || $date =~ ^[0-9]{8}T[0-9]{6}Z$ ]] || die 64 "\"$date\" is not a date such as 20261130T000000Z."
    handle_signals
    step "what this machine lacks"
    need curl curl "asks for the snapshot"
    install_missing
    scratch_directory scratch
    step "the snapshot"
    lock_snapshot "$date" "$scratch"
    [[ -z $tests ]] || test_snapshot
    UNTESTED=
    say "pinned in $LOCK."
}

debian_main "$@"
