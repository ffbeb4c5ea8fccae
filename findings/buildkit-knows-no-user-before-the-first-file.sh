#!/usr/bin/env bash
# BuildKit fails on a user's name in a stage that has no file yet: `FROM scratch`, then COPY --chown=NAME, or USER NAME and a
# WORKDIR. The message, "invalid user index -1", names neither the user nor the cause. One COPY before it, and the same lines
# pass: the name that no /etc/passwd has is root's then, without a word. Numbers and "root" always pass.
#
# Seen with github.com/moby/buildkit v0.34.2 of the Go module proxy, frontend dockerfile.v0. Source: solver/llbsolver/ops/file.go
# (processOwner), where -1 stands for an image without files:
#   COPY --chown=app f /f                  fails: invalid user index -1
#   USER app, WORKDIR /x                   fails: invalid user index -1
#   USER 1000, WORKDIR /x                  passes, x is of 1000/1000
#   COPY f /f, then USER app, WORKDIR /x   passes, x is of 0/0
# Needs go, root, runc and tar. Compiles BuildKit: takes minutes. Exits with 1 if the behaviour has changed.
set -euo pipefail

MODULE=github.com/moby/buildkit@v0.34.2
directory=$(mktemp -d /var/tmp/buildkit.XXXXXX)
daemon=
cleanup() {
    [[ ! $daemon ]] || kill "$daemon" || true
    wait
    rm -rf --one-file-system -- "$directory"
}
trap cleanup EXIT

source=$(go mod download -json "$MODULE" | sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p')
for program in buildkitd buildctl; do
    CGO_ENABLED=0 go build -C "$source" -mod=readonly -trimpath -o "$directory/$program" "./cmd/$program"
done
cd "$directory"
./buildkitd --root "$directory/root" --addr "unix://$directory/socket" --containerd-worker=false --oci-worker-net=host \
    --oci-worker-binary=runc >log 2>&1 &
daemon=$!
until ./buildctl --addr "unix://$directory/socket" debug workers >/dev/null 2>&1; do
    kill -0 "$daemon" || { cat log && exit 70; }
    sleep 1
done

# owner LINES: who owns the last file of an image with these lines, or the end of the error.
owner() {
    rm -rf context && mkdir context && echo f >context/f
    printf 'FROM scratch\n%s\n' "$1" >context/Dockerfile
    if ./buildctl --addr "unix://$directory/socket" build --frontend dockerfile.v0 --local context=context \
        --local dockerfile=context --output type=tar,dest=image.tar >output 2>&1; then
        tar --numeric-owner -tvf image.tar | awk 'END { print $2 }'
    else
        grep -o 'invalid user index -1' output | tail -n 1
    fi
}

found=$(
    owner 'COPY --chown=app f /f'
    owner $'USER app\nWORKDIR /x'
    owner $'USER 1000\nWORKDIR /x'
    owner $'COPY f /f\nUSER app\nWORKDIR /x'
)
echo "$found"
[[ $found == $'invalid user index -1\ninvalid user index -1\n1000/1000\n0/0' ]]
