# shellcheck shell=bash
# The dated snapshot of Debian that the images are made of: which server has it, and what apt needs to know of it.

# Other addresses are for mirrors of them.
DEBIAN_MIRROR=${DEBIAN_MIRROR:-http://deb.debian.org}
DEBIAN_SNAPSHOT=${DEBIAN_SNAPSHOT:-https://snapshot.debian.org/archive}
DEBIAN_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# Where the packages of the releases chosen last come from. mirror: the mirror still serves the locked snapshot; snapshot: Debian's
# archive of snapshots does; unpinned: neither does.
DEBIAN_SOURCE=
# The source of each choice so far, by its releases.
declare -A DEBIAN_CHOICES=()

# locked_debian RELEASE…: a line for each suite of these releases in the lock file: suite, archive (debian or debian-security),
# date, sha256 of its InRelease. The suites of trixie are trixie, trixie-updates and so on.
locked_debian() {
    local name date _ url sha256 suite
    while read -r name date _ url sha256; do
        suite=${name#debian-}
        [[ " $* " == *" ${suite%%-*} "* ]] || continue
        url=${url#*/archive/}
        echo "$suite ${url%%/*} $date $sha256"
    done < <(grep -E '^debian-[^ ]+ [0-9]{8}T[0-9]{6}Z all [^ ]+/archive/[^ ]+ [0-9a-f]{64}$' "$LOCK")
}

# debian_address SOURCE ARCHIVE DATE: what apt calls the URI of the archive.
debian_address() {
    if [[ $1 == snapshot ]]; then echo "$DEBIAN_SNAPSHOT/$2/$3/"; else echo "$DEBIAN_MIRROR/$2"; fi
}

# serves_locked_debian SOURCE RELEASE…: whether every suite's InRelease there is the file that the lock names.
serves_locked_debian() {
    local suite archive date sha256 served
    while read -r suite archive date sha256; do
        served=$(served_digest "$(debian_address "$1" "$archive" "$date")" "$suite") || return 1
        [[ $served == "$sha256" ]] || return 1
    done < <(locked_debian "${@:2}")
}

# served_digest ADDRESS SUITE: the sha256 of the suite's InRelease at that address.
served_digest() {
    curl --fail --silent --location --connect-timeout 10 --max-time 60 "${1%/}/dists/$2/InRelease" </dev/null |
        sha256sum | cut -d ' ' -f 1
}

# choose_debian RELEASE…: chooses where the packages of an image of these releases come from, and says so if that is not the
# snapshot.
choose_debian() {
    local release date
    DEBIAN_SOURCE=${DEBIAN_CHOICES[$*]-}
    [[ -z $DEBIAN_SOURCE ]] || return 0
    for release in "$@"; do
        date=$(locked_debian "$release" | cut -d ' ' -f 3 | sort | tail -n 1)
        [[ -n $date ]] || die 65 "$LOCK names no snapshot of Debian $release; scripts/lock_debian.sh writes one."
    done
    if serves_locked_debian mirror "$@"; then
        DEBIAN_SOURCE=mirror
    elif serves_locked_debian snapshot "$@"; then
        DEBIAN_SOURCE=snapshot
    else
        DEBIAN_SOURCE=unpinned
        date=$(locked_debian "$@" | cut -d ' ' -f 1,3 | tr '\n' ',')
        warn "a part of Debian's snapshot (${date%,}) is not on $DEBIAN_MIRROR any more and $DEBIAN_SNAPSHOT is out of reach: images of $* get the mirror's packages of today instead."
    fi
    DEBIAN_CHOICES[$*]=$DEBIAN_SOURCE
}

# debian_sources SOURCE RELEASE…: the lines of a sources.list.
debian_sources() {
    local suite archive date _
    while read -r suite archive date _; do
        echo "deb [signed-by=$DEBIAN_KEYRING] $(debian_address "$1" "$archive" "$date") $suite main"
    done < <(locked_debian "${@:2}")
}

# apt_configuration DIRECTORY [SOURCE RELEASE…]: files in DIRECTORY, which an image's build mounts at /mnt and names in
# APT_CONFIG: the machine's CA bundle, for mirrors behind HTTPS, and with SOURCE the sources of the snapshot and their digests.
# A package comes from another release than the first only if an installation names that release.
apt_configuration() {
    local ca release
    ca=$(ca_bundle)
    if [[ -n $ca ]]; then
        install -m 0644 -- "$ca" "$1/host-ca.pem"
        echo 'Acquire::https::CAInfo "/mnt/host-ca.pem";' >>"$1/apt.conf"
    fi
    [[ -n ${2-} ]] || return 0
    debian_sources "${@:2}" >"$1/debian.list"
    for release in "${@:4}"; do
        printf 'Package: *\nPin: release n=%s*\nPin-Priority: 100\n\n' "$release"
    done >"$1/preferences"
    cat >>"$1/apt.conf" <<'CONF'
Dir::Etc::sourcelist "/mnt/debian.list";
Dir::Etc::sourceparts "-";
Dir::Etc::preferences "/mnt/preferences";
CONF
    [[ $2 != unpinned ]] || return 0
    locked_debian "${@:3}" | cut -d ' ' -f 4 >"$1/digests"
    install -m 0644 "$ROOT/images/verify_snapshot.sh" "$1/verify_snapshot.sh"
    # Debian stops renewing a suite's Release file a week after it has changed last; its digest says more than its age.
    cat >>"$1/apt.conf" <<'CONF'
Acquire::Check-Valid-Until "false";
APT::Update::Post-Invoke { "sh /mnt/verify_snapshot.sh /mnt/digests /var/lib/apt/lists"; };
CONF
}
