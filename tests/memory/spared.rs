//! Jobs that stay below the limit, and processes that the guard must not kill.

use crate::Job;

#[test]
fn page_cache_above_the_limit_kills_nothing() {
    let script = "dd if=/dev/zero of=/workspace/file bs=1M count=600 2>/dev/null && cat /workspace/file >/dev/null \
                  && perl -e 'open F, \"<:mmap\", \"/workspace/file\"; 1 while read F, $b, 1 << 20' && echo fine";
    let ended = Job::with("256m").run(script);
    assert_eq!(ended.kills(), 0, "{}", ended.report);
    assert!(ended.said().contains("fine"), "{:?}", ended.output);
}

#[test]
fn memory_that_comes_and_goes_below_the_limit_stays() {
    let ended = Job::with("256m").run("/hog waves 20 200 && echo fine");
    assert_eq!(ended.kills(), 0, "{}", ended.report);
    assert!(ended.said().contains("fine"), "{:?}", ended.output);
    let peak = ended.report["memory"]["peak_bytes"].as_u64().unwrap();
    assert!(peak > 150 << 20, "{peak}");
}

#[test]
fn no_name_and_no_score_leads_the_guard_to_pid_1() {
    // It is called as PID 1 is, wants to be the last to die, and has left its parent.
    // The fifo ends when the process does.
    let script = "cp /hog /workspace/supervisor; mkfifo /workspace/alive; \
                  (setsid bash -c 'exec 9>/workspace/alive; echo -900 >/proc/self/oom_score_adj; exec /workspace/supervisor threads 1 1000' 2>/dev/null &); \
                  cat /workspace/alive; echo fine";
    let ended = Job::with("256m").run(script);
    assert_eq!(ended.kills(), 1, "{}", ended.report);
    assert!(ended.said().contains("fine"), "{:?}", ended.output);
    let kill = &ended.report["memory"]["kills"][0];
    assert_eq!(kill["name"], "supervisor");
    assert_ne!(kill["pid"], 1);
}

#[test]
fn without_a_limit_or_with_off_nothing_is_watched() {
    let job = Job::without_limit();
    let ended = job.run("true");
    assert_eq!(ended.report["memory"], serde_json::Value::Null);
    let log = String::from_utf8_lossy(&ended.output.stderr).into_owned();
    assert_eq!(
        log.matches("is not watched: it has no limit").count(),
        1,
        "{log}"
    );
    let off = Job::with("256m").flag("--env=SUPERVISOR_MEMORY__GUARD=off");
    assert_eq!(off.run("true").report["memory"], serde_json::Value::Null);
}
