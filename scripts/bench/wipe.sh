#!/usr/bin/env bash
# The wipe against rm -rf: same tree, same file system, in turns; time, and the most memory.

# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=scripts/lib/bench.sh
source "$ROOT/scripts/lib/bench.sh"

# Runs of each, of which the median counts; cold trees on disk take long to make.
RUNS=${BENCH_RUNS:-3}
# Small trees are timed as many at a time.
SMALL=200
MEMORY_LIMIT=16384
# On a machine's own file system the age of its directories decides more than the removal.
IMAGE_DIRECTORY=${BENCH_DISK:-/var/tmp}
IMAGE_SIZE=8G

main() {
    need time time "tells how much memory a command had"
    need python3 python3 "makes the trees"
    need mkfs.ext4 e2fsprogs "makes the file system"
    install_missing
    build_supervisor
    handle_signals
    scratch_directories
    say "    disk: a new ext4 in $IMAGE_DIRECTORY, caches dropped before each run; memory: /dev/shm; $(nproc) cores; $RUNS runs each"
    printf '%-44s %11s %11s %7s %7s %9s\n' tree "rm -rf" wipe ratio target "peak KiB"
    case_of "200,000 files in 25,000 directories, disk" "$ON_DISK" spread 0.30
    case_of "200,000 files in 25,000 directories, memory" "$IN_MEMORY" spread 0.55
    case_of "500,000 files in one directory, disk" "$ON_DISK" wide 1.05
    case_of "500,000 files in one directory, memory" "$IN_MEMORY" wide 1.05
    case_of "10,000 levels, memory" "$IN_MEMORY" deep ""
    small_of "10 files in 3 directories, memory" "$IN_MEMORY" tiny 1.05
    small_of "empty workspace, memory" "$IN_MEMORY" empty 1.05
    summary
}

# Sets ON_DISK and IN_MEMORY.
scratch_directories() {
    local TMPDIR=$IMAGE_DIRECTORY image
    scratch_directory image
    TMPDIR=/dev/shm
    scratch_directory IN_MEMORY
    truncate --size "$IMAGE_SIZE" "$image/ext4"
    mkfs.ext4 -q "$image/ext4"
    # Direct: what is dropped from the caches must not be found in those of the file system below.
    DEVICE=$(losetup --find --show --direct-io=on "$image/ext4")
    on_exit losetup --detach "$DEVICE"
    ON_DISK="$image/mounted"
    mkdir "$ON_DISK"
    mount "$DEVICE" "$ON_DISK"
    on_exit umount "$ON_DISK"
}

# make SHAPE DIRECTORY: the tree to be removed.
make() {
    python3 - "$@" <<'PYTHON'
import os, sys

shape, root = sys.argv[1:]
os.mkdir(root)
os.chdir(root)


def write(name):
    with open(name, "wb") as file:
        file.write(b"x" * 200)


if shape == "spread":
    for outer in range(250):
        for inner in range(100):
            path = f"{outer}/{inner}"
            os.makedirs(path)
            for number in range(8):
                write(f"{path}/{number}")
elif shape == "wide":
    for number in range(500_000):
        os.close(os.open(f"file-{number}", os.O_CREAT | os.O_WRONLY))
elif shape == "deep":
    for level in range(10_000):
        os.mkdir("d")
        os.chdir("d")
elif shape == "tiny":
    for path in ("a", "b", "c"):
        os.mkdir(path)
    for number in range(10):
        write("abc"[number % 3] + f"/{number}")
PYTHON
}

# From a cold start where the tree lies on disk. Data that is still to be written would be written meanwhile.
settle() {
    sync
    if [[ $1 == "$ON_DISK" ]]; then echo 3 >/proc/sys/vm/drop_caches; fi
}

# measured COMMAND ARGUMENT…: sets MILLISECONDS, KIBIBYTES, and COMPUTED, the processor's milliseconds.
measured() {
    local report="$IN_MEMORY/time" before after
    before=${EPOCHREALTIME/[.,]/}
    command time --format '%M %U %S' --output "$report" -- "$@" >/dev/null 2>"$IN_MEMORY/log" || die 70 "$1 failed: $(tail -n 3 "$IN_MEMORY/log")"
    after=${EPOCHREALTIME/[.,]/}
    MILLISECONDS=$(((after - before) / 1000))
    read -r KIBIBYTES COMPUTED < <(tail -n 1 "$report" | awk '{ print $1, ($2 + $3) * 1000 }')
}

# case_of TITLE PLACE SHAPE TARGET
case_of() {
    local title=$1 place=$2 shape=$3 target=$4 run rms=() wipes=() computing=() peak=0 rm computed
    for ((run = 0; run < RUNS; run++)); do
        make "$shape" "$place/tree"
        settle "$place"
        measured rm -rf "$place/tree"
        rms+=("$MILLISECONDS")
        computing+=("$COMPUTED")
        make "$shape" "$place/tree"
        settle "$place"
        measured "$CI_CD_AGENTS_BINARY" wipe "$place/tree"
        wipes+=("$MILLISECONDS")
        ((KIBIBYTES <= peak)) || peak=$KIBIBYTES
        [[ ! -e $place/tree ]] || die 70 "the wipe left something."
    done
    rm=$(median "${rms[@]}")
    row "$title" "$rm" "$(median "${wipes[@]}")" 1000 "$target" "$peak"
    if [[ $shape == spread ]]; then
        # Threads share out what rm waits for and what it computes; the second cannot be made less.
        computed=$(median "${computing[@]}")
        say "    rm computes for $(calculate "$computed / 1000" 1) s of that; shared by $(nproc) cores, that alone is $(
            calculate "$computed / $(nproc) / $rm"
        )"
    fi
}

# small_of TITLE PLACE SHAPE TARGET: many at a time, because one is over before a clock can tell.
small_of() {
    local title=$1 place=$2 shape=$3 target=$4 run rms=() wipes=()
    for ((run = 0; run < RUNS; run++)); do
        many "$place" "$shape"
        timed_each "$place" rm -rf
        rms+=("$MICROSECONDS")
        many "$place" "$shape"
        timed_each "$place" "$CI_CD_AGENTS_BINARY" wipe
        wipes+=("$MICROSECONDS")
    done
    many "$place" "$shape"
    measured "$CI_CD_AGENTS_BINARY" wipe "$place/tree.1"
    rm -rf "$place"/tree.*
    row "$title" "$(median "${rms[@]}")" "$(median "${wipes[@]}")" 1000000 "$target" "$KIBIBYTES"
    if [[ $shape == empty ]]; then
        check "an empty workspace in 2 ms" "$(median "${wipes[@]}")" 2000
    fi
}

many() {
    local number
    make "$2" "$1/tree.1"
    for ((number = 2; number <= SMALL; number++)); do cp -r "$1/tree.1" "$1/tree.$number"; done
}

# timed_each PLACE COMMAND…: sets MICROSECONDS a tree.
timed_each() {
    local place=$1 before after number
    shift
    before=${EPOCHREALTIME/[.,]/}
    for ((number = 1; number <= SMALL; number++)); do "$@" "$place/tree.$number" >/dev/null; done
    after=${EPOCHREALTIME/[.,]/}
    MICROSECONDS=$(((after - before) / SMALL))
}

# row TITLE RM WIPE UNITS-A-SECOND TARGET PEAK
row() {
    local title=$1 rm=$2 wipe=$3 units=$4 target=$5 peak=$6 ratio
    ratio=$(calculate "$wipe / $rm")
    printf '%-44s %9ss %10ss %7s %7s %9s\n' "$title" "$(calculate "$rm / $units" 4)" \
        "$(calculate "$wipe / $units" 4)" "$ratio" "${target:--}" "$peak"
    [[ -z $target ]] || check "$title" "$ratio" "$target"
    check "memory: $title" "$peak" "$MEMORY_LIMIT"
}

main "$@"
