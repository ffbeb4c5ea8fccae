#!/bin/busybox sh
# shellcheck shell=dash
# PID 1 of the virtual machine. It runs the supervisor once for each line of /cases, each time in a cgroup whose processes the
# kernel kills together, and prints what became of the cgroup.
#
# A line has a name, the limit in MiB, a value of memory.guard, and the script of the job.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/shm /tmp
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t cgroup2 cgroup2 /sys/fs/cgroup
chmod 0444 /dev/nvme0n1
echo +memory >/sys/fs/cgroup/cgroup.subtree_control

# A container as the manifests have it: namespaces, a view of its own cgroup, a user without any right.
# shellcheck disable=SC2016 # expanded by the shell in the namespaces
container='umount /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup && mount -t proc proc /proc &&
    exec /usr/bin/setpriv --reuid 1000 --regid 1000 --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all \
        /supervisor run --flavor exec --no-preflight --storage-driver none --workspace "/tmp/$1/workspace" -- sh -c "$2"'

# events CGROUP KEY: a number of memory.events.
events() { sed -n "s/^$2 //p" "$1/memory.events"; }

# attempt NAME LIMIT GUARD SCRIPT: sets CODE, GROUP_KILLS and KILLS.
attempt() {
    cgroup=/sys/fs/cgroup/$1
    mkdir "$cgroup"
    echo "${2}M" >"$cgroup/memory.max"
    echo 1 >"$cgroup/memory.oom.group"
    rm -rf "/tmp/$1" /dev/shm/*
    mkdir -p "/tmp/$1/workspace"
    chown -R 1000:1000 "/tmp/$1"
    export SUPERVISOR_MEMORY__GUARD="$3" SUPERVISOR_RUNTIME_DIRECTORY="/tmp/$1/run"
    # shellcheck disable=SC2016 # expanded by the shell that moves into the cgroup
    sh -c 'echo $$ >"$1/cgroup.procs" && exec /usr/bin/unshare --pid --fork --mount --cgroup sh -c "$2" sh "$3" "$4"' \
        sh "$cgroup" "$container" "$1" "$4" </dev/null >/tmp/said 2>&1
    CODE=$? GROUP_KILLS=$(events "$cgroup" oom_group_kill) KILLS=$(events "$cgroup" oom_kill)
    rmdir "$cgroup"
}

# The host's other programs may keep the guard from its processor, so it has three tries.
while read -r name mebibytes guard script; do
    for _ in 1 2 3; do
        attempt "$name" "$mebibytes" "$guard" "$script"
        if [ "$guard" = off ] || [ "$GROUP_KILLS" = 0 ]; then break; fi
    done
    echo "begin $name"
    cat /tmp/said
    echo "end $name $CODE $GROUP_KILLS $KILLS"
done </cases
echo "all cases ended after $(cut -d ' ' -f 1 /proc/uptime) s"
poweroff -f
