#!/usr/bin/env python3
"""Cases of trial.sh, what can be seen of each from outside, and whether two runners show the same.

    cases.py agree [CASE ...]     RUNNER and FAKE, one after the other, compared
    cases.py check [CASE ...]     FAKE alone, against what RUNNER showed when it was recorded (dryrun/expected.json)
    cases.py record [CASE ...]    keeps what the last `agree` or `run` saw of RUNNER in dryrun/expected.json
    cases.py supervise CASE ...   keeps what the last `check` saw of FAKE in dryrun/supervised.json, which goes before expected.json: cases in
                                  which this supervisor ends a job, continues its listener, or removes its sockets
    cases.py run real|fake [CASE ...]
    cases.py diff [CASE ...]      the last results again, without running anything

Environment: RUNNER, FAKE, SUPERVISOR, RESULTS, JOBS (how many cases at a time, 1), FACTS=runner (leave out what is the supervisor's),
SECONDS_AT_LEAST (only a time that is too short differs), SLOW (the real runner's cases of minutes, too).
"""

import concurrent.futures
import difflib
import glob
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
RESULTS = os.environ.get("RESULTS", "/tmp/fake-results")
EXPECTED = os.path.join(HERE, "dryrun/expected.json")
SUPERVISED = os.path.join(HERE, "dryrun/supervised.json")
FILES = os.path.join(RESULTS, "files")
KINDS = {"real": os.environ.get("RUNNER", "/tmp/actions-runner"), "fake": os.environ.get("FAKE", "")}

# Steps: one that lasts, one that wants success, and one for each other condition.
AFTER = [{"name": "Not run", "run": "echo not run"}, {"name": "Always", "if": "always()", "run": "echo fact: always ran; sleep 1"},
         {"name": "Failure", "if": "failure()", "run": "echo fact: failure ran"}, {"name": "Cancelled", "if": "cancelled()", "run": "echo fact: cancelled ran"}]
STEPS = {
    "long": [{"name": "Long", "run": "echo one; sleep 300; echo never"}] + AFTER,
    "obedient": [{"name": "Long", "run": "trap 'echo fact: INT; exit 3' INT; for i in $(seq 3000); do sleep 0.1; done"}] + AFTER,
    # What ignores both signals, and a process of another session, with the step's streams.
    "stubborn": [{"name": "Long", "run": "trap '' INT TERM; setsid sleep 301 & sleep 300; sleep 302; echo never"},
                 {"name": "Always", "if": "always()", "run": "echo \"fact: $(pgrep -cx sleep || true) sleep\"; sleep 1"}],
    "background": [{"name": "Leaves", "run": "setsid sleep 301 & until pgrep -x sleep; do :; done; echo \"fact: left $(pgrep -cx sleep)\""},
                   {"name": "Looks", "run": "echo \"fact: $(pgrep -cx sleep) sleep\""},
                   {"name": "Hides", "run": "env -i setsid sleep 302 >/dev/null 2>&1 & echo on"}],
    "commands": [
        {"name": "Words", "run": "echo '::error title=T::text of an error'; echo '::warning::with 100%25'; echo '::notice title=N%2C n,file=a.sh,line=3::noted'\n"
                                 "echo '  ::warning::indented'; echo 'x ::error::not at the start'; echo '::debug::none'; echo '##[error]old words'\n"
                                 "echo '::error::' ; echo '::ERROR title=up::upper'; echo '::group::g'; echo '::endgroup::'; echo '::nonsense::x'\n"
                                 "sleep 0.3; echo '::error title=S::on stderr' >&2"},
        {"name": "Files", "run": "echo A=one >> $GITHUB_ENV; printf 'B<<END\\ntwo\\nlines\\nEND\\n' >> $GITHUB_ENV; mkdir -p p; echo \"$PWD/p\" >> $GITHUB_PATH\n"
                                 "echo '# Summary' >> $GITHUB_STEP_SUMMARY; echo x=1 >> $GITHUB_OUTPUT"},
        {"name": "Reads", "run": "echo \"fact: A=$A B=${B//$'\\n'/|} PATH=${PATH%%:*}\" | sed \"s,$PWD,PWD,\"; wc -c < $GITHUB_STEP_SUMMARY | sed 's/^/fact: summary /'"},
        {"name": "Stops", "run": "echo '::stop-commands::w8'; echo '::error::stopped'; echo '::w8::'; echo '::warning::again'; for i in $(seq 12); do echo \"::notice::$i\"; done"},
        {"name": "Fails softly", "continue-on-error": True, "run": "exit 9"},
        {"name": "Env of a step", "env": {"C": "three"}, "run": "echo fact: $C"},
        {"name": "Bash", "shell": "bash", "run": "echo \"fact: $- $(tr '\\0' ' ' < /proc/$$/cmdline | sed 's, /[^ ]*sh ,,')\"; false | true; echo never"},
        {"name": "Broken file", "if": "always()", "run": "echo 'no equals sign' >> $GITHUB_ENV"}],
    "surroundings": [{"name": "Looks", "run": r"""
        echo "fact: $(env | cut -d= -f1 | sort | tr '\n' ' ')"
        env | grep -E '^(GITHUB|RUNNER|ACTIONS_RUNNER_[RP]|CI|HOME|LANG|SHLVL|_)' | grep -vE '^(GITHUB_(.*_URL|ENV|OUTPUT|PATH|STATE|STEP_SUMMARY)|RUNNER_TRACKING_ID|ACTIONS_RUNNER_HOOK)' |
            sed -E "s,$RUNNER_WORKSPACE,WORKSPACE,g; s,${RUNNER_WORKSPACE%/_work/trial},ROOT,g; s,/[^ ]*/perf,PERF,; s,=/[^ ]*/ws,=WS,; s/[0-9a-f]{8}-[0-9a-f-]{27}/ID/; s/^/fact: /" | sort
        for f in ENV OUTPUT PATH STATE STEP_SUMMARY; do n=GITHUB_$f; echo "fact: $f $(stat -c '%a %s' "${!n}") ${!n}"; done | sed -E "s,${RUNNER_TEMP},TEMP,; s/[0-9a-f]{8}-[0-9a-f-]{27}/ID/"
        p=$$; while [ $p != 1 ]; do echo "fact: $(cat /proc/$p/comm) oom $(cat /proc/$p/oom_score_adj) cwd $(readlink /proc/$p/cwd || echo closed)"; p=$(awk '{print $4}' /proc/$p/stat); done |
            sed "s,${RUNNER_WORKSPACE%/_work/trial},ROOT,"
        echo "fact: $(tr '\0' ' ' < /proc/$$/cmdline | sed -E "s,$RUNNER_TEMP,TEMP,; s/[0-9a-f]{8}-[0-9a-f-]{27}/ID/")"
        echo "fact: worker $(tr '\0' ' ' < /proc/$PPID/cmdline | sed -E "s,${RUNNER_WORKSPACE%/_work/trial},ROOT,; s/ -I -S -B [^ ]+//; s/ [0-9]+ [0-9]+ $/ N N/")"
        cd ${RUNNER_WORKSPACE%/_work/trial}; for f in $(find . -maxdepth 3 \( -path ./bin -o -path ./externals \) -prune -o -print | grep -v _diag/ | grep -vE '_temp/|\.sh$|_runner_file|template$' | sort); do echo "fact: $f $(stat -c '%a %F' $f)"; done
        echo "fact: temp $(ls $RUNNER_TEMP | sed -E 's/[0-9a-f]{8}-[0-9a-f-]{27}/ID/' | sort | tr '\n' ' ') diag $(ls _diag | sed -E 's/[0-9].*//' | sort -u | tr '\n' ' ')"
        l=$(awk '{print $4}' /proc/$PPID/stat); echo "fact: listener $(stat -c %u /proc/$l/environ) worker $(stat -c %u /proc/$PPID/environ) groups $(ps -o pgid= -p $$ $PPID $l | sort -u | wc -l)"
        (cd "$TMPDIR"; find . ! -name . -printf 'fact: TMPDIR %m %y %p\n'; cd "$HOME"; find . ! -name . -printf 'fact: HOME %m %y %p\n') | sed -E 's/-[0-9]+-[0-9]+-/-N-/' | sort | uniq
        for s in Sig{Ign,Cgt}; do grep $s /proc/self/status | sed 's/^/fact: step /'; done; echo "fact: stdin $(readlink /proc/$$/fd/0 | sed 's/[0-9]*//g')"; read x || echo fact: nothing to read
        """}],
}
HOOKS = {
    "fails": "exit 1",
    "words": 'echo "## Words of the hook" >> "$GITHUB_STEP_SUMMARY"\necho "::error title=Pod ended::The pod ended, 100%25"\necho "::notice::note"; echo "FROM_HOOK=yes" >> $GITHUB_ENV',
    "sees": 'echo "fact: $0 $-" | sed "s,/[^ ]*/,,"; echo "fact: hook in $(pwd)" | sed "s,/[^ ]*/ws,WS,"; echo "fact: $(env | cut -d= -f1 | sort | tr "\\n" " ")"; echo "FROM_HOOK=yes" >> $GITHUB_ENV',
    "hangs": "echo fact: hook; sleep 600",
    "goes": 'rm "$0"',
}
BUSY = "--result canceled --cancel-after 900"
END = "GRACE=1s TERMINATION_GRACE_PERIOD=90s"
hook = lambda name: os.path.join(FILES, "hook-%s.sh" % name)
steps = lambda name: "--job-steps " + os.path.join(FILES, "steps-%s.json" % name)
# name: (options of service.py, settings of the supervisor, further variables of trial.sh)
CASES = {
    "succeeded": ("", "", {}),
    "failed": ("--result failed", "", {}),
    "read-only": ("", "", {"ROOT": "1"}),
    "canceled": ("--result canceled --cancel-after 12", "", {}),
    "canceled-all": (steps("long") + " --cancel-after 12", "", {}),
    "canceled-obedient": (steps("obedient") + " --cancel-after 12", "", {}),
    "canceled-stubborn": (steps("stubborn") + " --cancel-after 12", "", {}),
    "int-idle": ("--hold", "", {"SIGNALS": "TERM@first_poll+2"}),
    "int-busy": (BUSY, END, {"SIGNALS": "TERM@first_step+1"}),
    "int-obedient": (steps("obedient"), END, {"SIGNALS": "TERM@first_step+1"}),
    "int-stubborn": (steps("stubborn"), END, {"SIGNALS": "TERM@first_step+1"}),
    "int-no-session": ("--session-error 500", "", {"SIGNALS": "TERM@start+5"}),
    "term-busy": (BUSY, "GRACE=1s TERMINATION_GRACE_PERIOD=12s", {"SIGNALS": "TERM@first_step+1"}),
    "drain": ("--step 'sleep 6; echo drained'", "GRACE=60s TERMINATION_GRACE_PERIOD=90s", {"SIGNALS": "TERM@first_step+1"}),
    "steps-term": (steps("long"), "", {"SIGNALS": "TERM:steps@first_step+2"}),
    "steps-kill": (steps("long"), "", {"SIGNALS": "KILL:steps@first_step+2"}),
    "steps-int": (steps("obedient"), "", {"SIGNALS": "INT:steps@first_step+2"}),
    "background": (steps("background"), "", {}),
    "worker-killed": (steps("long"), "", {"SIGNALS": "KILL:Runner.Worker@first_step+2"}),
    "worker-term": (steps("long"), "", {"SIGNALS": "TERM:Runner.Worker@first_step+2"}),
    "worker-term-stubborn": (steps("stubborn"), "", {"SIGNALS": "TERM:Runner.Worker@first_step+2"}),
    "worker-int": (steps("long"), "", {"SIGNALS": "INT:Runner.Worker@first_step+2", "LIMIT": "40"}),
    "worker-stopped": (BUSY, "GRACE=1s TERMINATION_GRACE_PERIOD=16s", {"SIGNALS": "STOP:Runner.Worker@first_step+1 TERM@first_step+2"}),
    "listener-stopped": ("--step 'kill -STOP $(pgrep -x Runner.Listener); sleep 2'", "", {}),
    "listener-stopped-int": ("--step 'kill -STOP $(pgrep -x Runner.Listener); sleep 2'", "GRACE=1s TERMINATION_GRACE_PERIOD=20s", {"SIGNALS": "TERM@completed+2"}),
    "listener-resumed": ("--step 'sleep 3'", "", {"SIGNALS": "STOP:Runner.Listener@first_step+1 CONT:Runner.Listener@first_step+8"}),
    "listener-term": (steps("long"), "", {"SIGNALS": "TERM:Runner.Listener@first_step+3"}),
    "listener-term-idle": ("--hold", "", {"SIGNALS": "TERM:Runner.Listener@first_poll+2"}),
    "listener-term-stuck": (BUSY, "", {"SIGNALS": "STOP:Runner.Worker@first_step+1 TERM:Runner.Listener@first_step+2"}),
    "listener-hup-idle": ("--hold", "", {"SIGNALS": "HUP:Runner.Listener@first_poll+2", "LIMIT": "20"}),
    "listener-quit-idle": ("--hold", "", {"SIGNALS": "QUIT:Runner.Listener@first_poll+2", "LIMIT": "20"}),
    "listener-killed": (steps("long"), "", {"SIGNALS": "KILL:Runner.Listener@first_step+2"}),
    "listener-int-twice": (BUSY, "", {"SIGNALS": "INT:Runner.Listener@first_step+1 INT:Runner.Listener@first_step+3"}),
    "complete-404": ("--complete-error 404", "", {}),
    "complete-401": ("--complete-error 401", "", {}),
    "complete-500": ("--complete-error 500:1", "", {}),
    "ack-not-found": ("--ack-not-found", "", {}),
    "not-found": ("--message-error RunnerNotFound", "", {}),
    "deprovisioned": ("--message-error HostedRunnerDeprovisioned", "", {}),
    "shutdown": ("--send 'RunnerShutdown={\"reason\":\"x\"}'", "", {}),
    "forbidden": ("--session-forbidden", "", {}),
    "invalid-client": ("--token-error invalid_client", "", {}),
    "token-expired": ("--expired-token always", "", {}),
    "token-expired-once": ("--expired-token once", "", {}),
    "session-invalid": ("--message-error RunnerSessionInvalid:1", "", {}),
    "version-too-old": ("--version-deprecated", "", {}),
    "version-plain": ("--version-deprecated plain", "", {"LIMIT": "75"}),
    "conflict-once": ("--session-conflict 1", "", {}),
    "abandoned": ("--result abandoned", "", {}),
    "renew-500": ("--renew-error 500", "", {"SIGNALS": "TERM@acquired+4"}),
    "acquire-409": ("--acquire-error 409", "", {"SIGNALS": "TERM@first_poll+3"}),
    "hook-started-fails": ("", "GITHUB__HOOK_STARTED=" + hook("fails"), {}),
    "hook-started-sees": ("--step 'echo fact: $FROM_HOOK'", "GITHUB__HOOK_STARTED=" + hook("sees"), {}),
    "hook-started-gone": ("", "GITHUB__HOOK_STARTED={own} GITHUB__HOOK_COMPLETED={own}", {}),
    "hook-completed-fails": ("", "GITHUB__HOOK_COMPLETED=" + hook("fails"), {}),
    "hook-completed-words": ("", "GITHUB__HOOK_COMPLETED=" + hook("words"), {}),
    # A cancellation, a hook that hangs, then SIGINT.
    "canceled-int": ("--step true --cancel-after 6", "GITHUB__HOOK_COMPLETED=" + hook("hangs") + " GRACE=1s TERMINATION_GRACE_PERIOD=16s",
                     {"SIGNALS": "TERM@cancel_queued+3"}),
    "commands": (steps("commands"), "", {}),
    # Minutes with the real one, which is only run anew with SLOW=1; the fake does it twenty times as fast.
    "conflict": ("--session-conflict", "", {"LIMIT": "330"}),
    "renew-500-long": ("--renew-error 500", "", {"LIMIT": "900"}),
    "poll-500": ("--message-error 500", "GITHUB__RETRIES=0", {"LIMIT": "1200"}),
    "surroundings": (steps("surroundings"), "", {}),
}
# Cases in which the real runner differs from run to run. A first SIGTERM to a listener or worker: the same end as by SIGINT, with its code
# or with 143; with 143 of the worker, the listener completes the job once more, without steps. SIGTERM to all, half a second after SIGINT
# to the listener: a worker that has the message already ends at once; otherwise it completes the job.
EITHER = {"listener-term": ("code", "report: runner", "report: reason", "report: message"), "worker-term": ("calls", "steps", "annotations"),
          "term-busy": ("report: survivors", "calls", "state", "conclusion", "steps", "annotations", "seconds"), "listener-stopped-int": ("stdout",), "listener-term-stuck": ("steps", "annotations")}
EITHER.update({"listener-term-idle": EITHER["listener-term"], "worker-term-stubborn": EITHER["worker-term"]})
SLOW = ("conflict", "renew-500-long", "poll-500")
MAIN = ("succeeded failed canceled int-idle int-busy term-busy drain steps-term worker-killed listener-stopped complete-404 complete-500 ack-not-found not-found "
        "deprovisioned forbidden invalid-client version-too-old hook-started-fails hook-completed-fails hook-completed-words abandoned").split()


def write_files():
    os.makedirs(FILES, exist_ok=True)
    for directory in (RESULTS, FILES):
        os.chmod(directory, 0o755)
    for name, value in STEPS.items():
        with open(os.path.join(FILES, "steps-%s.json" % name), "w") as file:
            json.dump(value, file)
    for name, text in HOOKS.items():
        with open(hook(name), "w") as file:
            file.write("#!/bin/bash\n%s\n" % text)
        os.chmod(hook(name), 0o755)


def run(kind, case):
    options, settings, more = CASES[case]
    results = os.path.join(RESULTS, kind)
    if kind == "real" and case in SLOW and not os.environ.get("SLOW") and os.path.exists(os.path.join(results, case, "code")):
        return
    os.makedirs(results, exist_ok=True)
    os.chmod(results, 0o755)
    environment = {"LIMIT": "120", **os.environ, "RUNNER": KINDS[kind], "RESULTS": results, **more}
    if kind == "fake" and case in SLOW:
        environment["RUNNER_ENV"] = 'DOUBLE_SPEED="20"'
    if "{own}" in settings:
        own = os.path.join(FILES, "hook-own-%s.sh" % kind)
        with open(own, "w") as file:
            file.write('#!/bin/bash\necho "fact: once"; rm -f "$0"\n')
        os.chmod(FILES, 0o777)
        settings = settings.format(own=own)
    # Its text has times and sizes.
    settings += " GITHUB__JOB_SUMMARY=never"
    command = "./trial.sh %s %s --once -- %s" % (case, options, settings)
    with open(os.path.join(results, case + ".output"), "w") as output:
        subprocess.run(["bash", "-c", command], cwd=HERE, env=environment, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)


def read(path):
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def facts(kind, case):
    """What a case showed, less what differs from run to run."""
    out = os.path.join(RESULTS, kind, case)
    seen = {"code": read(out + "/code").strip()}
    lines = read(out + "/report/report.json").strip().splitlines()
    report = json.loads(lines[-1]) if lines else {}
    runner, job = report.get("runner") or {}, report.get("job") or {}
    for key, value in (("reason", report.get("reason")), ("message", report.get("message")), ("registration", report.get("registration")),
                       ("runner", runner.get("exit_code")), ("signal", runner.get("signal")), ("starts", runner.get("starts")),
                       ("survivors", len(runner.get("survivors") or [])), ("job", job.get("result")), ("drained", job.get("drained")),
                       ("job started", bool(job.get("started_at"))), ("job completed", bool(job.get("completed_at")))):
        seen["report: " + key] = value
    summary = json.loads(read(out + "/service/summary.json") or "{}")
    received = summary.get("job", {})
    seen["state"], seen["conclusion"], seen["tokens"] = received.get("state"), received.get("conclusion"), min(summary.get("tokens", 0), 3)
    words = lambda items: ["%(level)s %(title)s: %(message)s" % {"title": "-", "message": "-", **item} for item in items or []]
    seen["steps"] = ["%s %s: %s" % (step["number"], step["name"], step["conclusion"]) for step in received.get("steps", [])]
    seen["annotations"] = ["%s: %s" % (step["name"], text) for step in received.get("steps", []) for text in words(step.get("annotations"))]
    seen["annotations"] += ["job: " + text for text in words(received.get("annotations"))]
    seen["annotations"] = [re.sub(r"\S+ after the job began", "N after the job began", text) for text in seen["annotations"]]
    time = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ")
    for stream in ("stdout", "stderr"):
        seen[stream] = [re.sub(r"(127\.0\.0\.1):\d+", r"\1:PORT", time.sub("TIME", line)) for line in read(out + "/" + stream).splitlines() if not line.startswith("{")]
    calls = summary.get("counts", {})
    wanted = re.compile(r"(POST /broker/session|DELETE /broker/session|POST /broker/acknowledge|POST /run/(acquirejob|completejob)|.*StepSummary.*|PUT /blob/step-summary-ID)")
    seen["calls"] = ["%s: %d" % (name, count) for name, count in sorted(calls.items()) if wanted.fullmatch(name)]
    seen["calls"] += sorted(set(name for name in calls if not wanted.fullmatch(name)) - {"GET /feed", "GET /control/state", "POST /control/quit"})
    seen["summaries"] = sorted(read(path) for path in glob.glob(out + "/service/blobs/step-summary-*"))
    log = "".join(read(path) for path in glob.glob(out + "/service/blobs/job-log-*"))
    seen["said"] = [line.split(" ", 1)[1] for line in log.splitlines() if re.match(r"[0-9T:.-]+Z fact: ", line)]
    sent = re.search(r"sent SIG(?!STOP).* at ([0-9.]+)", read(out + "/watch.out"))
    completed = summary.get("times", {}).get("completed")
    seen["seconds"] = {}
    if completed and sent:
        seen["seconds"]["signal to completejob"] = round(summary["began"] + completed - float(sent.group(1)), 1)
    if completed and "cancel_queued" in summary["times"]:
        seen["seconds"]["cancellation to completejob"] = round(completed - summary["times"]["cancel_queued"], 1)
    if completed and "session_deleted" in summary["times"]:
        seen["seconds"]["completejob to session's end"] = round(summary["times"]["session_deleted"] - completed, 1)
    return seen


def differences(case, one, two):
    """Lines about what differs; seconds may by one, a retry's pause by its range."""
    allowed = 10.5 if case == "complete-500" else 1.0
    for key in one:
        if key in EITHER.get(case, ()) or os.environ.get("FACTS") == "runner" and key.startswith(("code", "report: ")):
            continue
        if key == "seconds":
            for name in sorted(set(one[key]) | set(two[key])):
                first, second = one[key].get(name), two[key].get(name)
                late = second is not None and first is not None and second > first and os.environ.get("SECONDS_AT_LEAST")
                if first is None or second is None or abs(first - second) > allowed and not late:
                    yield "%s: %s, %s" % (name, first, second)
        elif one[key] != two.get(key):
            if isinstance(one[key], list):
                delta = [line for line in difflib.unified_diff(one[key], two.get(key) or [], lineterm="", n=0) if not line.startswith(("---", "+++", "@@"))]
                yield "%s: %s" % (key, " / ".join(delta))
            else:
                yield "%s: %s, %s" % (key, one[key], two.get(key))


def tell(case, first, second):
    found = list(differences(case, first, second))
    seconds = ", ".join("%s %s" % (name, "/".join(str(side["seconds"].get(name)) for side in (first, second))) for name in first.get("seconds", ()))
    print("%-24s %s%s" % (case, "DIFFERS" if found else "equal", "  (%s s)" % seconds if seconds else ""), flush=True)
    for line in found:
        print("    " + line, flush=True)
    return not found


def main():
    what, names = sys.argv[1], sys.argv[2:]
    kind = names.pop(0) if what == "run" else None
    names = list(CASES) if names == ["all"] else names or MAIN
    write_files()
    expected = json.loads(read(EXPECTED) or "{}")
    supervised = json.loads(read(SUPERVISED) or "{}")
    if what in ("record", "supervise"):
        kind, path, known = ("real", EXPECTED, expected) if what == "record" else ("fake", SUPERVISED, supervised)
        known.update((name, facts(kind, name)) for name in names)
        if what == "supervise":
            # Those times are the supervisor's, and its own tests have them.
            for case in known.values():
                case.pop("seconds", None)
        with open(path, "w") as file:
            json.dump(known, file, indent=1)
        return 0
    if what == "check":
        expected.update(supervised)

    def one(name):
        for each in {"agree": ("real", "fake"), "check": ("fake",), "diff": (), "run": (kind,)}[what]:
            run(each, name)
        return name

    good = 0
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("JOBS", "1"))) as pool:
        for name in pool.map(one, names):
            if what == "run":
                print("%s %s: %s" % (kind, name, facts(kind, name)["code"]), flush=True)
                good += 1
            else:
                good += tell(name, expected[name] if what == "check" else facts("real", name), facts("fake", name))
    print("%d of %d cases" % (good, len(names)))
    return good != len(names)


if __name__ == "__main__":
    sys.exit(main())
