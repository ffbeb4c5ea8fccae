#!/usr/bin/env bash
# newuidmap of Debian 13 needs openat2(2): it opens /proc/PID/uid_map with it and falls back to open(2) neither on EPERM nor on
# ENOSYS. ENOSYS is what a seccomp filter answers so that programs fall back to an older system call, and what Linux before 5.6
# answers. So a container whose filter does not know openat2(2) has no rootless build since this update of the package.
#
# Seen with uidmap 1:4.17.4-2+deb13u1 (trixie) on Linux 6.18:
#   newuidmap: open of uid_map failed: Function not implemented
# Needs root, mmdebstrap and Debian's mirror. Exits with 1 if the behaviour has changed.
set -euo pipefail

VERSION=1:4.17.4-2+deb13u1
directory=$(mktemp -d)
trap 'rm -rf --one-file-system -- "$directory"' EXIT
mmdebstrap --quiet --variant=minbase --include="uidmap=$VERSION,strace,util-linux" trixie "$directory/root" 2>/dev/null

cat >"$directory/root/try" <<'TRY'
set -eu
mount -t proc proc /proc
printf 'root:100000:65536\n' | tee /etc/subuid >/etc/subgid
status=0
strace --quiet=all --trace=openat2 ${2:+--inject=openat2:error=$2} --output=/trace newuidmap "$1" 0 100000 65536 2>&1 || status=$?
echo "exit code $status, map lines $(wc -l <"/proc/$1/uid_map"), openat2 called $(grep -c openat2 /trace)"
umount /proc
TRY

# try [ERRNO]: a process in a user namespace without a map waits, and newuidmap maps its ids: valid input, of root's own
# subordinate ids. The process is outside the chroot, because unshare(2) makes no user namespace in one.
try() {
    local child
    unshare --user sleep 60 &
    child=$!
    until [[ $(readlink "/proc/$child/ns/user") != "$(readlink /proc/self/ns/user)" ]]; do sleep 0.05; done
    unshare --mount chroot "$directory/root" sh /try "$child" "${1-}" | tail -n 2
    kill "$child"
}

expect() {
    if [[ $2 == "$3" ]]; then
        printf '%s: as seen:\n%s\n' "$1" "$3"
    else
        printf '%s: CHANGED\nexpected:\n%s\nfound:\n%s\n' "$1" "$2" "$3" >&2
        exit 1
    fi
}

echo "uidmap $VERSION, Linux $(uname -r)"
expect "without a filter" "exit code 0, map lines 1, openat2 called 1" "$(try)"
expect "ENOSYS" "newuidmap: open of uid_map failed: Function not implemented
exit code 1, map lines 0, openat2 called 1" "$(try ENOSYS)"
expect "EPERM" "newuidmap: open of uid_map failed: Operation not permitted
exit code 1, map lines 0, openat2 called 1" "$(try EPERM)"
