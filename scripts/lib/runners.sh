# shellcheck shell=bash
# The images of the CI vendors' runners: the runner image, and the vendor's program in it.

# A file of the user's in place of a download: a .deb of CircleCI's, or the program itself; and its digest as published.
CIRCLECI_RUNNER_FILE=${CIRCLECI_RUNNER_FILE-}
CIRCLECI_RUNNER_SHA256=${CIRCLECI_RUNNER_SHA256-}

# flavor_image FLAVOR BASE: the base's name with the flavor in it, unless the user names another; `…/runner:local` becomes
# `…/runner-github:local`.
flavor_image() { echo "${FLAVOR_IMAGE:-${2%:*}-$1:${2##*:}}"; }

# The images that a flavor is put into: of both shapes, unless the user names one image.
flavor_bases() {
    if [[ -n ${FLAVOR_IMAGE-} ]]; then echo "$RUNNER_TAG"; else printf '%s\n' "$RUNNER_TAG" "$SINGLE_TAG"; fi
}

need_for_flavor() {
    case $1 in
        github) need tar tar "unpacks GitHub's runner" ;;
        circleci) need dpkg-deb dpkg "unpacks CircleCI's package" ;;
        *) die 64 "--flavor is github or circleci, not \"$1\"." ;;
    esac
}

build_flavor() {
    local base
    step "images of the flavor $1"
    while read -r base; do put_flavor_into "$base" "$1" </dev/null; done < <(flavor_bases)
}

# put_flavor_into BASE FLAVOR: on top of an image that is built before.
put_flavor_into() {
    local base=$1 image containerfile="$ROOT/images/$2/Containerfile" vendor digest context
    shift
    image=$(flavor_image "$1" "$base")
    vendor=$("vendor_of_$1")
    digest=$(digest_of "$containerfile" "$IMAGE_SETUP" "$vendor" "$(image_id "$base")")
    if [[ -z $REFRESH ]] && image_current "$image" "$digest"; then
        say "    unchanged: $image"
        return
    fi
    scratch_directory context
    "unpack_$1" "$context"
    build_image "$(base_kind)" "$image" "$digest" "$containerfile" "$context" --build-arg "RUNNER_IMAGE=$base"
    say "    $image"
}

vendor_of_github() { locked_runner github actions-runner; }

vendor_of_circleci() {
    if [[ -n $CIRCLECI_RUNNER_FILE ]]; then
        [[ -f $CIRCLECI_RUNNER_FILE ]] || die 66 "CIRCLECI_RUNNER_FILE=$CIRCLECI_RUNNER_FILE is not a file."
        [[ $CIRCLECI_RUNNER_SHA256 =~ ^[0-9a-f]{64}$ ]] ||
            die 65 "CIRCLECI_RUNNER_SHA256 has to say which file $CIRCLECI_RUNNER_FILE is: the sha256 that CircleCI publishes for it."
        has_digest "$CIRCLECI_RUNNER_FILE" "$CIRCLECI_RUNNER_SHA256" ||
            die 65 "$CIRCLECI_RUNNER_FILE is not the file that CIRCLECI_RUNNER_SHA256 names: its sha256 differs."
        echo "$CIRCLECI_RUNNER_SHA256"
    else
        locked_runner circleci circleci-runner
    fi
}

# locked_runner FLAVOR NAME
locked_runner() {
    (locked "$2") || die 69 "one command fills it in: scripts/lock_runner.sh $1 VERSION."
}

unpack_github() {
    local archive
    download actions-runner archive
    mkdir "$1/actions-runner"
    tar --extract --gzip --no-same-owner --file "$archive" --directory "$1/actions-runner" ||
        die 65 "$archive is not a gzipped tar archive."
}

unpack_circleci() {
    local file=$CIRCLECI_RUNNER_FILE
    [[ -n $file ]] || download circleci-runner file
    circleci_program "$file" >"$1/circleci-runner" || die 65 "$file holds no usr/bin/circleci-runner."
    chmod 0755 "$1/circleci-runner"
}

# circleci_program FILE: prints the program, from a .deb or as it is.
circleci_program() {
    if [[ $(head -c 7 -- "$1") == '!<arch>' ]]; then
        dpkg-deb --fsys-tarfile "$1" | tar --extract --to-stdout ./usr/bin/circleci-runner
    else
        cat -- "$1"
    fi
}
