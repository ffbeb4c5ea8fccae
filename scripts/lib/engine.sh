# shellcheck shell=bash
# podman with the flags that it needs on this machine.

ENGINE_FLAGS=()
LIMIT_FLAGS=()
SECURITY_FLAGS=()

# Looks at the machine once and fills the flags that podman needs on it.
engine_options() {
    local files processes
    ENGINE_FLAGS=() LIMIT_FLAGS=() SECURITY_FLAGS=()
    # crun refuses cgroups v1 and hybrid ones; runc takes them.
    unified_cgroups || ENGINE_FLAGS+=(--runtime runc)
    # podman asks systemd for scopes; without systemd it has to use cgroupfs itself.
    [[ -d /run/systemd/system ]] || ENGINE_FLAGS+=(--cgroup-manager cgroupfs)

    # podman asks for limits that only CAP_SYS_RESOURCE may raise. The machine's own are the highest that work everywhere,
    # and podman lowers its own process limit to pid_max first.
    files=$(lower_limit "$(ulimit -Hn)" 1048576)
    processes=$(lower_limit "$(ulimit -Hu)" "$(cat /proc/sys/kernel/pid_max)")
    # shellcheck disable=SC2034 # for the scripts that start containers
    LIMIT_FLAGS=(--ulimit "nofile=$files:$files" --ulimit "nproc=$processes:$processes")

    # AppArmor's default profile for containers forbids mount, which every image build needs.
    if [[ $(cat /sys/module/apparmor/parameters/enabled 2>/dev/null) == Y ]]; then
        # shellcheck disable=SC2034 # for the scripts that start containers
        SECURITY_FLAGS=(--security-opt apparmor=unconfined)
    fi
}

unified_cgroups() { [[ $(stat -f -c %T /sys/fs/cgroup) == cgroup2fs ]]; }

# lower_limit LIMIT OTHER: the lower of two numbers, the first of which may be "unlimited".
lower_limit() {
    if [[ $1 == unlimited ]] || (($1 > $2)); then echo "$2"; else echo "$1"; fi
}

# podman, as root: a rootless one would put a second user namespace around the one under test.
engine() { as_root podman "${ENGINE_FLAGS[@]}" "$@"; }

# The machine's CA bundle, if it names one or has the usual one; prints nothing otherwise.
ca_bundle() {
    local file
    for file in "${SSL_CERT_FILE-}" "${CURL_CA_BUNDLE-}" "${REQUESTS_CA_BUNDLE-}" /etc/ssl/certs/ca-certificates.crt; do
        if [[ -n $file && -s $file ]]; then
            readlink -f -- "$file"
            return
        fi
    done
}
