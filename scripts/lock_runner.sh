#!/usr/bin/env bash
# Moves a vendor's runner to another version in images/versions.lock. `--help` says how.

# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Other addresses are for mirrors.
GITHUB_API=${GITHUB_API:-https://api.github.com}
GITHUB_DOWNLOADS=${GITHUB_DOWNLOADS:-https://github.com}
CIRCLECI_PACKAGES=${CIRCLECI_PACKAGES:-https://packagecloud.io/circleci/runner/any}

lock_usage() {
    cat <<'HELP'
Usage: scripts/lock_runner.sh github|circleci VERSION

Pins the CI vendor's runner of that version in images/versions.lock, for amd64 and arm64: downloads each file, verifies it
against the digest that the vendor publishes, and replaces the lines of the version before.

  github    the archives of github.com/actions/runner; digests from the release's notes and from the API's list of files
  circleci  the packages of circleci-runner; digests from the package repository's index

Environment, for mirrors: GITHUB_API, GITHUB_DOWNLOADS, CIRCLECI_PACKAGES, CI_CD_AGENTS_LOCK (another lock file).
HELP
}

# fetch URL FILE
fetch() {
    logged curl --fail --silent --show-error --location --retry 3 --output "$2" "$1" ||
        die 69 "$1 could not be downloaded."
}

# pin NAME VERSION ARCHITECTURE URL SHA256: verifies the file and adds its line to $LINES.
pin() {
    local file="$CACHE/downloads/$1-$2-$3-${5:0:12}"
    [[ $5 =~ ^[0-9a-f]{64}$ ]] || die 65 "the vendor publishes no sha256 for $1 $2 on $3."
    mkdir -p "$CACHE/downloads"
    if ! has_digest "$file" "$5"; then
        fetch "$4" "$SCRATCH/download"
        has_digest "$SCRATCH/download" "$5" || die 65 "$4 is not the file that the vendor published: its sha256 differs from $5."
        mv -- "$SCRATCH/download" "$file"
    fi
    "holds_$1" "$file" || die 65 "$4 does not hold what it should."
    say "    $1 $2 $3 $5"
    printf '%s %s %s %s %s\n' "$1" "$2" "$3" "$4" "$5" >>"$LINES"
}

holds_actions-runner() { tar --list --gzip --file "$1" ./bin/Runner.Listener ./bin/Runner.Worker >/dev/null; }
holds_circleci-runner() { dpkg-deb --contents "$1" | grep -F ' ./usr/bin/circleci-runner' >/dev/null; }

# Two publications of the same digest: the notes' marked places, and the API's own.
lock_github() {
    local version=${1#v} release arch vendor file notes listed
    release="$SCRATCH/release.json"
    fetch "$GITHUB_API/repos/actions/runner/releases/tags/v$version" "$release"
    for arch in amd64 arm64; do
        vendor=$([[ $arch == amd64 ]] && echo x64 || echo "$arch")
        file="actions-runner-linux-$vendor-$version.tar.gz"
        notes=$(jq -r .body "$release" | grep -oP "(?<=<!-- BEGIN SHA linux-$vendor -->)[0-9a-f]{64}(?=<!-- END SHA)" | head -n 1 || true)
        listed=$(jq -r --arg file "$file" '.assets[]? | select(.name == $file) | .digest // empty' "$release")
        listed=${listed#sha256:}
        [[ -z $notes || -z $listed || $notes == "$listed" ]] ||
            die 65 "GitHub publishes two digests for $file: $notes in the notes, $listed in its list of files."
        pin actions-runner "$version" "$arch" "$GITHUB_DOWNLOADS/actions/runner/releases/download/v$version/$file" "${notes:-$listed}"
    done
}

lock_circleci() {
    local version=$1 index arch path sha256
    for arch in amd64 arm64; do
        index="$SCRATCH/Packages-$arch"
        fetch "$CIRCLECI_PACKAGES/dists/any/main/binary-$arch/Packages" "$index"
        read -r path sha256 < <(package_of "$index" "$version") || true
        [[ -n ${path-} ]] || die 69 "the package repository has no circleci-runner $version for $arch."
        pin circleci-runner "$version" "$arch" "$CIRCLECI_PACKAGES/$path" "$sha256"
    done
}

# package_of INDEX VERSION: path and sha256 of a package; the packager's own revision, as in 3.1.13-1, may be left out.
package_of() {
    awk -v version="$2" 'BEGIN { RS = ""; FS = "\n" } {
        split("", field)
        for (i = 1; i <= NF; i++) { at = index($i, ": "); field[substr($i, 1, at - 1)] = substr($i, at + 2) }
        found = field["Version"]
        if (field["Package"] == "circleci-runner" && (found == version || index(found, version "-") == 1))
            print field["Filename"], field["SHA256"]
    }' "$1" | tail -n 1
}

lock_main() {
    [[ ${1-} != --help && ${1-} != -h ]] || { lock_usage && exit; }
    (($# == 2)) || die 64 "a flavor and a version are needed; --help says more."
    [[ $2 =~ ^v?[0-9]+(\.[0-9]+)+(-[0-9]+)?$ ]] || die 64 "\"$2\" is not a version, such as 2.338.0."
    handle_signals
    step "what this machine lacks"
    need curl curl "downloads the runner"
    need jq jq "reads the release"
    need dpkg-deb dpkg "looks into CircleCI's package"
    install_missing
    scratch_directory SCRATCH
    LINES="$SCRATCH/lines"
    step "download and verify"
    case $1 in
        github) lock_github "$2" && replace_locked actions-runner "$LINES" ;;
        circleci) lock_circleci "$2" && replace_locked circleci-runner "$LINES" ;;
        *) die 64 "a runner of github or circleci, not of \"$1\"." ;;
    esac
    say "pinned in $LOCK; scripts/buildme_local.sh --flavor $1 builds the image."
}

lock_main "$@"
