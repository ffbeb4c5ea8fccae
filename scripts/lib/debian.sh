# shellcheck shell=bash
# The dated snapshot of Debian that the images are made of: which server has it, and what apt needs to know of it.

# Other addresses are for mirrors of them.
DEBIAN_MIRROR=${DEBIAN_MIRROR:-http://deb.debian.org}
DEBIAN_SNAPSHOT=${DEBIAN_SNAPSHOT:-https://snapshot.debian.org/archive}
DEBIAN_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# mirror: the mirror still serves the locked snapshot; snapshot: Debian's archive of snapshots does; unpinned: neither does.
DEBIAN_SOURCE=

# locked_debian: a line a suite of the lock file: suite, archive (debian or debian-security), date, sha256 of its InRelease.
locked_debian() {
    local name date _ url sha256
    while read -r name date _ url sha256; do
        url=${url#*/archive/}
        echo "${name#debian-} ${url%%/*} $date $sha256"
    done < <(grep -E '^debian-[^ ]+ [0-9]{8}T[0-9]{6}Z all [^ ]+/archive/[^ ]+ [0-9a-f]{64}$' "$LOCK")
}

# debian_address SOURCE ARCHIVE DATE: what apt calls the URI of the archive.
debian_address() {
    if [[ $1 == snapshot ]]; then echo "$DEBIAN_SNAPSHOT/$2/$3/"; else echo "$DEBIAN_MIRROR/$2"; fi
}

# serves_locked_debian SOURCE: whether every suite's InRelease there is the file that the lock names.
serves_locked_debian() {
    local suite archive date sha256 served
    while read -r suite archive date sha256; do
        served=$(served_digest "$(debian_address "$1" "$archive" "$date")" "$suite") || return 1
        [[ $served == "$sha256" ]] || return 1
    done < <(locked_debian)
}

# served_digest ADDRESS SUITE: the sha256 of the suite's InRelease at that address.
served_digest() {
    curl --fail --silent --location --connect-timeout 10 --max-time 60 "${1%/}/dists/$2/InRelease" </dev/null |
        sha256sum | cut -d ' ' -f 1
}

# Chooses where the images' packages come from, and says so if that is not the snapshot.
choose_debian() {
    local date
    [[ -z $DEBIAN_SOURCE ]] || return 0
    date=$(locked_debian | cut -d ' ' -f 3 | sort | tail -n 1)
    [[ -n $date ]] || die 65 "$LOCK names no snapshot of Debian; scripts/lock_debian.sh writes one."
    if serves_locked_debian mirror; then
        DEBIAN_SOURCE=mirror
    elif serves_locked_debian snapshot; then
        DEBIAN_SOURCE=snapshot
    else
        DEBIAN_SOURCE=unpinned
        warn "Debian's snapshot of $date is not on $DEBIAN_MIRROR any more and $DEBIAN_SNAPSHOT is out of reach: the images get the mirror's packages of today instead."
    fi
}

# debian_sources SOURCE: the lines of a sources.list.
debian_sources() {
    local suite archive date _
    while read -r suite archive date _; do
        echo "deb [signed-by=$DEBIAN_KEYRING] $(debian_address "$1" "$archive" "$date") $suite main"
    done < <(locked_debian)
}

# apt_configuration DIRECTORY [SOURCE]: files in DIRECTORY, which an image's build mounts at /mnt and names in APT_CONFIG: the
# machine's CA bundle, for mirrors behind HTTPS, and with SOURCE the sources of the snapshot and their digests.
apt_configuration() {
    local ca
    ca=$(ca_bundle)
    if [[ -n $ca ]]; then
        install -m 0644 -- "$ca" "$1/host-ca.pem"
        echo 'Acquire::https::CAInfo "/mnt/host-ca.pem";' >>"$1/apt.conf"
    fi
    [[ -n ${2-} ]] || return 0
    debian_sources "$2" >"$1/debian.list"
    cat >>"$1/apt.conf" <<'CONF'
Dir::Etc::sourcelist "/mnt/debian.list";
Dir::Etc::sourceparts "-";
CONF
    [[ $2 != unpinned ]] || return 0
    locked_debian | cut -d ' ' -f 4 >"$1/digests"
    install -m 0644 "$ROOT/images/verify_snapshot.sh" "$1/verify_snapshot.sh"
    # Debian stops renewing a suite's Release file a week after it has changed last; its digest says more than its age.
    cat >>"$1/apt.conf" <<'CONF'
Acquire::Check-Valid-Until "false";
APT::Update::Post-Invoke { "sh /mnt/verify_snapshot.sh /mnt/digests /var/lib/apt/lists"; };
CONF
}
