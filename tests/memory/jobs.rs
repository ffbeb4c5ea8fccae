//! Jobs that take more memory than there is.

use crate::{Ended, Job};

/// One process was killed in time, the step failed with 137, and what comes after it ran.
fn assert_step_ended(ended: &Ended) {
    assert_eq!(ended.kills(), 1, "{}", ended.report);
    assert!(ended.said().contains("step 137\n"), "{}", ended.said());
    let kill = &ended.report["memory"]["kills"][0];
    assert_eq!(
        (&kill["name"], &kill["by"]),
        (&"hog".into(), &"supervisor".into())
    );
    let log = String::from_utf8_lossy(&ended.output.stderr).into_owned();
    assert!(log.contains("out of memory: hog (pid "), "{log}");
    let message = ended.report["message"].as_str().unwrap();
    assert!(
        message.contains("raise resources.limits.memory"),
        "{message}"
    );
}

#[test]
fn one_process_dies_and_the_job_goes_on() {
    let ended = Job::with("256m").run("/hog threads 1 1000; echo step $?");
    assert_step_ended(&ended);
    assert_eq!(ended.output.status.code(), Some(0));
    assert_eq!(ended.report["memory"]["limit_bytes"], 256 << 20);
}

#[test]
fn sixty_four_threads_on_busy_processors_die() {
    let busy = "for _ in 1 2 3; do (while :; do :; done) & done;";
    let script = format!("{busy} /hog threads 64 20; echo step $?; kill $(jobs -p)");
    assert_step_ended(&Job::with("256m").run(&script));
}

#[test]
fn the_guard_wins_with_a_fifth_of_a_processor() {
    let job = Job::with("256m").flag("--cpus=0.2");
    assert_step_ended(&job.run("/hog threads 4 200; echo step $?"));
}

#[test]
fn hundreds_of_small_processes_die_at_once() {
    let ended = Job::with("512m").run("/hog processes 400 3; echo not reached");
    assert!(ended.kills() > 50, "{}", ended.report);
    // The command of the flavor exec is the step.
    assert_eq!(ended.output.status.code(), Some(137));
    assert_eq!(ended.report["reason"], "failed");
    assert!(!ended.said().contains("not reached"));
}

/// The kernel may be faster than the guard. It takes no process of ours: their scores are lower.
#[test]
fn a_fork_bomb_leaves_pid_1_alone() {
    let job = Job::with("512m").flag("--pids-limit=800");
    let ended = job.run_once("/hog bomb 8 3").unwrap();
    let memory = &ended.report["memory"];
    let kills = |by: &str| memory[by].as_u64().unwrap();
    assert!(
        kills("supervisor_kills") + kills("kernel_kills") > 0,
        "{memory}"
    );
    assert_eq!(ended.report["runner"]["unkillable"], serde_json::json!([]));
}

#[test]
fn tmpfs_is_named_as_the_place_of_the_memory() {
    let job = Job::with("256m").flag("--tmpfs=/memory:size=1g,mode=1777");
    let ended = job.run("dd if=/dev/zero of=/memory/file bs=1M count=500");
    assert!(ended.kills() >= 1, "{}", ended.report);
    let message = ended.report["message"].as_str().unwrap();
    assert!(message.contains("MiB of it lie in tmpfs"), "{message}");
}

#[test]
fn what_the_kernel_kills_is_reported_too() {
    let job = Job::with("256m").flag("--env=SUPERVISOR_MEMORY__GUARD=auto");
    let ended = job.run_once("/hog threads 1 1000; echo step $?").unwrap();
    let memory = &ended.report["memory"];
    assert!(ended.said().contains("step 137\n"), "{}", ended.said());
    if memory["acts"] == true {
        // cgroup v2 with memory.oom.group.
        assert_eq!(memory["supervisor_kills"], 1, "{memory}");
    } else {
        assert_eq!(memory["kernel_kills"], 1, "{memory}");
        assert_eq!(memory["kills"][0]["by"], "kernel");
    }
}
