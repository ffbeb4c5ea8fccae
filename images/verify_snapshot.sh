#!/bin/sh
# Usage: verify_snapshot.sh DIGESTS LISTS: fails unless each InRelease file that apt has fetched into LISTS is one of those
# whose sha256 stands in DIGESTS, a line each. apt calls it after `apt-get update` in an image's build.
set -eu

seen=
for file in "$2"/*InRelease; do
    [ -e "$file" ] || continue
    seen=yes
    digest=$(sha256sum <"$file")
    if ! grep -qxF "${digest%% *}" "$1"; then
        echo "error: ${file##*/} is not of the locked snapshot (sha256 ${digest%% *}): the server has changed since it was chosen; start again." >&2
        exit 1
    fi
done
if [ -z "$seen" ]; then
    echo "error: apt has fetched no InRelease file into $2; is a server out of reach?" >&2
    exit 1
fi
