# shellcheck shell=sh
# What several images set up. A RUN instruction sources it; scripts/lib/images.sh mounts it at /mnt, so that it never becomes
# part of an image.

# apt_update: fetches the indexes. /mnt holds apt's configuration: the machine's CA bundle, and the snapshot of Debian that
# versions.lock names.
apt_update() {
    export DEBIAN_FRONTEND=noninteractive
    if [ -s /mnt/apt.conf ]; then export APT_CONFIG=/mnt/apt.conf; fi
    apt-get update
}

# apt_add [OPTION…] PACKAGE…: installs packages.
apt_add() { apt-get install --yes --no-install-recommends "$@"; }

# apt_clean: removes what apt leaves behind.
apt_clean() {
    apt-get clean
    rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log /var/cache/ldconfig/aux-cache
}

# apt_install PACKAGE…: installs packages, then removes what apt leaves behind.
apt_install() {
    apt_add "$@"
    apt_clean
}

# apt_add_buildah SUITE [PACKAGE…]: installs Buildah, the programs that it starts, and the packages. They and what they depend on
# come from the suite. If it is empty, they come from where the base image's other packages come from.
# Some distributions have no package of netavark (Ubuntu 22.04); chroot isolation does not need it. The programs of Buildah's
# own tests are left out: they are three quarters of its package.
apt_add_buildah() {
    suite=$1
    shift
    # shellcheck disable=SC2046 # no package is one word less
    apt_add ${suite:+--target-release "$suite"} --option 'Dpkg::Options::=--path-exclude=/usr/libexec/buildah/*' \
        buildah crun fuse-overlayfs libcap2-bin uidmap $(apt_known netavark) "$@"
}

# apt_known PACKAGE: prints the package's name if the distribution has the package.
apt_known() {
    if apt-cache show "$1" >/dev/null 2>&1; then echo "$1"; fi
}

# create_user NAME HOME SHELL: user and group 1000. Some base images have a user 1000 of their own (Ubuntu 24.04).
create_user() {
    if other="$(getent passwd 1000 | cut -d: -f1)" && [ -n "$other" ]; then userdel "$other"; fi
    if other="$(getent group 1000 | cut -d: -f1)" && [ -n "$other" ]; then groupdel "$other"; fi
    groupadd --gid 1000 "$1"
    useradd --uid 1000 --gid 1000 --home-dir "$2" --no-create-home --shell "$3" "$1"
}

# delegate_ids NAME: subordinate ranges for the user. They leave out 1000 itself and end at 65535, so that they exist within a
# pod of 65536 ids. A file capability on newuidmap and newgidmap grants one capability to one program.
delegate_ids() {
    printf '%s:1:999\n%s:1001:64535\n' "$1" "$1" | tee /etc/subuid >/etc/subgid
    setcap cap_setuid+ep /usr/bin/newuidmap
    setcap cap_setgid+ep /usr/bin/newgidmap
}

# clear_setuid: a setuid program is a way to root for every process of the job. A job does not need mount, su, passwd and
# similar programs. It must come before delegate_ids: chown and chmod may drop a file's capabilities.
clear_setuid() { find / -xdev ! -type l -perm /6000 -exec chmod a-s {} +; }

# require_no_setuid: fails if a setuid or setgid file is left.
require_no_setuid() {
    left="$(find / -xdev ! -type l -perm /6000)"
    if [ -n "$left" ]; then
        echo "setuid or setgid files are left: $left" >&2
        return 1
    fi
}

# require_capabilities PROGRAM CAPABILITIES: fails unless the program has these file capabilities, as getcap prints them.
require_capabilities() {
    if ! getcap "$1" | grep -qx "$1 $2"; then
        echo "$1 does not have the file capabilities $2" >&2
        return 1
    fi
}

# require_id_helpers: fails unless newuidmap and newgidmap have one capability each.
require_id_helpers() {
    require_capabilities /usr/bin/newuidmap cap_setuid=ep
    require_capabilities /usr/bin/newgidmap cap_setgid=ep
}
