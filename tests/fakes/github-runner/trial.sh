#!/usr/bin/env bash
# One case of the trial: service.py, and the supervisor as PID 1 of a namespace of its own with the real runner in it, as the
# pod's user and without any right. Root on the outside, since it makes the namespace and looks in from there.
#
#   trial.sh CASE [options of service.py ...] [-- SETTING=VALUE ...]     settings of the supervisor, without SUPERVISOR_
#
# Environment:
#   RUNNER      directory of actions/runner              /opt/actions-runner
#   SUPERVISOR  the supervisor's program                 /usr/local/bin/supervisor
#   RESULTS     where each case gets a directory         /tmp/trial
#   SIGNALS     to the supervisor, e.g. "TERM@first_step+2 TERM@first_step+5": a time of /control/state, or a file that a step makes
#               in $RUNNER_PERFLOG, and seconds after it
#   ROOT        non-empty: everything but the volumes is read-only
#   LIMIT       seconds until the case is given up       180
#   CONTAINER_ENV  further variables of the container, e.g. "HTTPS_PROXY=http://10.9.9.1:8480 NO_PROXY=x"
#   RUNNER_ENV  further ones of runner.env, e.g. 'DOTNET_EnableDiagnostics="0", X="1"'
#   RUN_PATH    PATH of the container, as the job gets it  /usr/local/bin:/usr/bin:/bin
#   BARE        non-empty: the listener without a supervisor, in the same namespace, by the same user
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
RUNNER=${RUNNER:-/opt/actions-runner}
SUPERVISOR=${SUPERVISOR:-/usr/local/bin/supervisor}
RESULTS=${RESULTS:-/tmp/trial}
LIMIT=${LIMIT:-180}

case_name=$1
shift
options=() settings=()
while (($#)); do
    if [[ $1 == -- ]]; then
        shift
        settings=("$@")
        break
    fi
    options+=("$1")
    shift
done

out=$RESULTS/$case_name
rm -rf "$out"
mkdir -p "$out"/{service,perf,report,diag} "$out/ws"
secrets=$(mktemp -d /dev/shm/trial.XXXXXX)
runtime=$(mktemp -d /tmp/trial-run.XXXXXX)
children=()
finish() {
    for child in "${children[@]}"; do kill "$child" 2>/dev/null || true; done
    rm -rf "$secrets" "$runtime"
}
trap finish EXIT

python3 -B "$HERE/service.py" --dir "$out/service" --ready "$out/ready" --write-jit "$secrets/jitconfig" --show-logs \
    --max-time "$LIMIT" "${options[@]}" >"$out/service.out" 2>&1 &
service=$!
children+=("$service")
for _ in {1..600}; do
    [[ -e $out/ready ]] && break
    kill -0 "$service" 2>/dev/null || { cat "$out/service.out"; exit 2; }
    sleep 0.1
done
base=$(<"$out/ready")
# A job's step can look what it was given: what it finds.
if [[ -n ${REGISTER-} ]]; then
    rm "$secrets/jitconfig"
    printf "%s" "$REGISTER" >"$secrets/registration_token"
    [[ -z ${REMOVE-} ]] || printf AREMOVAL >"$secrets/remove_token"
fi
chmod 0400 "$secrets"/*
chmod 0700 "$secrets" "$runtime"
chown -R 1000:1000 "$secrets" "$runtime" "$out/ws" "$out/perf" "$out/report"
chmod 0755 "$RESULTS" "$out"
chmod 0750 "$out/ws"

environment=(
    PATH="${RUN_PATH:-/usr/local/bin:/usr/bin:/bin}"
    SUPERVISOR_FLAVOR=github
    SUPERVISOR_GITHUB__DIRECTORY="$RUNNER"
    SUPERVISOR_STORAGE__DRIVER=none
    SUPERVISOR_SECRETS__DIRECTORY="$secrets"
    SUPERVISOR_WORKSPACE__PATH="$out/ws"
    SUPERVISOR_RUNTIME_DIRECTORY="$runtime"
    SUPERVISOR_REPORT__FILE="$out/report/report.json"
    SUPERVISOR_LOG__FORMAT=json
    SUPERVISOR_RUNNER__ENV="{RUNNER_PERFLOG=\"$out/perf\"${RUNNER_ENV:+, $RUNNER_ENV}}"
)
read -ra more <<<"${CONTAINER_ENV-}"
environment+=("${more[@]}")
for setting in "${settings[@]}"; do environment+=("SUPERVISOR_$setting"); done
if [[ $base == https:* ]]; then
    cp "$out/service/ca.pem" "$out/ca.pem"
    environment+=(SUPERVISOR_RUNNER__CA_BUNDLE="$out/ca.pem")
fi

narrow=(setpriv --reuid 1000 --regid 1000 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all)
space=(unshare --pid --fork --mount --ipc --mount-proc --kill-child)
start=$(date +%s.%N)
if [[ -n ${BARE-} ]]; then
    # What the supervisor does, less the supervisor.
    cp -r "$RUNNER/bin" "$out/ws/bin"
    for entry in "$RUNNER"/*; do [[ ${entry##*/} == bin ]] || ln -s "$entry" "$out/ws/"; done
    chown -R 1000:1000 "$out/ws"
    [[ $BARE != executeonly ]] || chmod 0111 "$out/ws/bin/Runner.Listener"
    timeout "$LIMIT" "${space[@]}" "${narrow[@]}" env -C "$out/ws" -i PATH="${RUN_PATH:-/usr/bin:/bin}" LANG=C.UTF-8 HOME="$out/ws" TMPDIR=/tmp \
        ACTIONS_RUNNER_INPUT_JITCONFIG="$(<"$secrets/jitconfig")" ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE=1 \
        ACTIONS_RUNNER_RETURN_JOB_RESULT_FOR_HOSTED=1 RUNNER_PERFLOG="$out/perf" "$out/ws/bin/Runner.Listener" run \
        >"$out/stdout" 2>"$out/stderr" </dev/null &
else
    if [[ -n ${ROOT-} ]]; then
        # Everything read-only but what a pod has as volumes.
        # shellcheck disable=SC2016
        space+=(sh -c 'mount --make-rprivate /; for d in "$1" "$2" "$3" /tmp /dev/shm; do mount --bind "$d" "$d"; done; mount -o remount,bind,ro /; shift 3; exec "$@"'
            sh "$out" "$runtime" "$secrets")
    fi
    timeout "$LIMIT" "${space[@]}" "${narrow[@]}" env -i "${environment[@]}" "$SUPERVISOR" run --no-preflight \
        >"$out/stdout" 2>"$out/stderr" </dev/null &
fi
running=$!
python3 -B "$HERE/watch.py" "$out" "$running" "$base" "${SIGNALS-}" >"$out/watch.out" 2>&1 &
watch=$!
children+=("$watch")
code=0
wait "$running" || code=$?
end=$(date +%s.%N)
sleep 1.5
curl --silent --max-time 5 --insecure --request POST "$base/control/quit" >/dev/null || true
wait "$service" || true
kill "$watch" 2>/dev/null || true
wait "$watch" 2>/dev/null || true
printf '%s\n' "$code" >"$out/code"
python3 -B "$HERE/watch.py" --tell "$out" "$code" "$(echo "$end - $start" | bc)"
