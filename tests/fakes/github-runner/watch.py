#!/usr/bin/env python3
"""Looks at a case of trial.sh from outside: samples of the runner's processes, copies of its logs before they are wiped, and
signals at their time. `watch.py --tell` prints what came of it.
"""

import glob
import json
import os
import re
import shutil
import signal
import ssl
import sys
import time
import urllib.request


def children(pid):
    return [int(child) for path in glob.glob("/proc/%d/task/*/children" % pid) for child in read(path).split()]


def descendants(pid):
    found, new = [], [pid]
    while new:
        new = [child for parent in new for child in children(parent)]
        found += new
    return found


def read(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def state(base):
    context = ssl._create_unverified_context() if base.startswith("https") else None
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(base + "/control/state", timeout=3) as answer:
            return json.load(answer)
    except OSError:
        return {"times": {}}


def copy_logs(out):
    for path in glob.glob(os.path.join(out, "ws/runner/_diag/*")) + glob.glob(os.path.join(out, "ws/_diag/*")):
        target = os.path.join(out, "diag", os.path.basename(path))
        try:
            if os.path.isfile(path) and (not os.path.exists(target) or os.path.getsize(target) != os.path.getsize(path)):
                shutil.copy(path, target)
        except OSError:
            pass


def chosen(tree, target):
    """Returns the targets of a signal among the processes below trial.sh's timeout, unshare and the namespace's PID 1."""
    if not target:
        return [pid for pid in tree if read("/proc/%d/status" % pid).find("\nNSpid:\t%d\t1\n" % pid) >= 0][:1]
    named = [pid for pid in tree if read("/proc/%d/comm" % pid).strip() == (target if target != "steps" else "Runner.Worker")]
    return named if target != "steps" else [child for pid in named for child in descendants(pid)]


def watch(out, running, base, signals):
    # NAME[:TARGET]@EVENT+SECONDS. TARGET: PID 1 of the namespace, "steps" (all below Runner.Worker) or a process' name. EVENT: a time
    # of /control/state, "start", or a file that a step makes in the directory $RUNNER_PERFLOG.
    plan = []
    for item in signals.split():
        name, _, when = item.partition("@")
        name, _, target = name.partition(":")
        event, _, offset = when.partition("+")
        plan.append([getattr(signal, "SIG" + name), event, float(offset or 0), None, target])
    begin, last_log, seen = time.monotonic(), 0.0, {}
    with open(os.path.join(out, "samples.tsv"), "w", buffering=1) as samples:
        samples.write("seconds\tpid\tcomm\tuid\tVmRSS\tVmHWM\tthreads\toom_score_adj\tproc_owner\n")
        while os.path.exists("/proc/%d" % running):
            now = time.monotonic() - begin
            tree = descendants(running)
            for pid in tree:
                status = read("/proc/%d/status" % pid)
                name = re.search(r"^Name:\t(.*)$", status, re.M)
                if not name or not name.group(1).startswith(("Runner.", "supervisor", "dotnet")):
                    continue
                value = lambda key: (re.search(r"^%s:\s+(\d+)" % key, status, re.M) or [None, "0"])[1]
                try:
                    owner = os.stat("/proc/%d/environ" % pid).st_uid
                except OSError:
                    owner = -1
                line = "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s" % (pid, name.group(1), value("Uid"), value("VmRSS"), value("VmHWM"), value("Threads"),
                                                         read("/proc/%d/oom_score_adj" % pid).strip(), owner)
                if seen.get(pid) != line:
                    seen[pid] = line
                    samples.write("%.2f\t%s\n" % (now, line))
            if now - last_log > 0.5:
                last_log = now
                copy_logs(out)
            if plan and plan[0][3] is None:
                event = plan[0][1]
                if event == "start" or os.path.exists(os.path.join(out, "perf", event)) or event in state(base)["times"]:
                    for item in plan:
                        if item[1] == plan[0][1]:
                            item[3] = now + item[2]
            if plan and plan[0][3] is not None and now >= plan[0][3]:
                number, event, offset, _, target = plan.pop(0)
                first = chosen(descendants(running), target)
                for pid in first:
                    try:
                        os.kill(pid, number)
                    except ProcessLookupError:
                        pass
                print("%.2f sent %s to %s (%s+%g) at %.3f" % (now, signal.Signals(number).name, first, event, offset, time.time()), flush=True)
            time.sleep(0.1)
    copy_logs(out)


def tell_annotations(owner, indent):
    for item in owner.get("annotations") or []:
        print("%s%s: %s%s" % (indent, item.get("level"), "%s: " % item["title"] if item.get("title") else "", item.get("message")))


def tell(out, code, seconds):
    print("=== %s: exit code %s after %.1f s" % (os.path.basename(out), code, float(seconds)))
    try:
        report = json.loads(read(os.path.join(out, "report/report.json")).strip().splitlines()[-1])
        for key in ("reason", "exit_code", "message", "runner", "job", "registration", "wiped"):
            print("  report.%s: %s" % (key, json.dumps(report.get(key))))
    except (ValueError, IndexError):
        print("  no report")
    try:
        summary = json.loads(read(os.path.join(out, "service/summary.json")))
        print("  service: job %s, conclusion %s, renewals %s, tokens %s" % (summary["job"]["state"], summary["job"]["conclusion"], summary["job"]["renewals"],
                                                                      summary["tokens"]))
        for step in summary["job"]["steps"]:
            print("    step %(number)s %(name)s: %(conclusion)s" % step)
            tell_annotations(step, " " * 8)
        tell_annotations(summary["job"], " " * 4)
        print("  times: %s" % json.dumps(summary["times"]))
    except ValueError:
        print("  no summary")
    highest = {}
    for line in read(os.path.join(out, "samples.tsv")).splitlines()[1:]:
        fields = line.split("\t")
        key = fields[2]
        highest[key] = max(highest.get(key, (0, "")), (int(fields[5]), "uid %s, /proc owner %s, oom_score_adj %s" % (fields[3], fields[8], fields[7])))
    for key, (size, text) in sorted(highest.items()):
        print("  %s: peak RSS %d MiB, %s" % (key, size // 1024, text))
    for line in read(os.path.join(out, "watch.out")).splitlines():
        print("  signal: " + line)
    for line in read(os.path.join(out, "service/control.log")).splitlines():
        if "LOOT" in line or "BUG" in line or "UNKNOWN ROUTE" in line:
            print("  " + line)
    for path in sorted(glob.glob(os.path.join(out, "perf/*"))):
        for line in read(path).splitlines():
            print("  perf %s: %s" % (os.path.basename(path)[:24], line[:150]))


if __name__ == "__main__":
    if sys.argv[1] == "--tell":
        tell(*sys.argv[2:5])
    else:
        watch(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4])
