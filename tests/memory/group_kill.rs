//! Jobs where the kernel would kill the whole container. Without the guard it does.

use serde_json::Value;

use crate::vm::{Case, Fate};

pub(crate) const CASES: [Case; 7] = [
    Case {
        name: "unguarded",
        limit: 128,
        guard: "off",
        script: "/hog threads 1 1000; echo step $?",
    },
    Case {
        name: "one",
        limit: 128,
        guard: "auto",
        script: "/hog threads 1 1000; echo step $?",
    },
    Case {
        name: "threads",
        limit: 128,
        guard: "auto",
        script: "/hog threads 64 20; echo step $?",
    },
    Case {
        name: "forks",
        limit: 256,
        guard: "auto",
        script: "/hog processes 400 3; echo not reached",
    },
    Case {
        name: "cache",
        limit: 128,
        guard: "auto",
        script: "dd if=/dev/nvme0n1 of=/dev/null bs=1M; echo step $?",
    },
    Case {
        name: "tmpfs",
        limit: 128,
        guard: "auto",
        script: "dd if=/dev/zero of=/dev/shm/file bs=1M count=500; echo step $?",
    },
    Case {
        name: "waves",
        limit: 128,
        guard: "auto",
        script: "/hog waves 5 90; echo step $?",
    },
];

/// The report of a container that the kernel left alone.
fn report_of_the_living(fate: &Fate) -> Value {
    assert_eq!(
        (fate.group_kills, fate.kernel_kills),
        (0, 0),
        "{}",
        fate.said
    );
    let report = fate.report().unwrap();
    assert_eq!(report["memory"]["acts"], true, "{report}");
    assert_eq!(report["memory"]["kernel_kills"], 0, "{report}");
    report
}

/// The guard killed one process, and the job went on.
fn assert_step_ended(name: &str) {
    let fate = Fate::of(name);
    let report = report_of_the_living(&fate);
    let memory = &report["memory"];
    assert!(fate.said.contains("\nstep 137\n"), "{}", fate.said);
    assert_eq!(fate.code, 0);
    assert_eq!(memory["supervisor_kills"], 1, "{memory}");
    assert_eq!(memory["limit_bytes"], 128 << 20);
    let kill = &memory["kills"][0];
    let found = (&kill["name"], &kill["by"]);
    assert_eq!(found, (&"hog".into(), &"supervisor".into()));
}

fn assert_nothing_is_killed(name: &str) {
    let fate = Fate::of(name);
    let report = report_of_the_living(&fate);
    assert!(fate.said.contains("\nstep 0\n"), "{}", fate.said);
    assert_eq!(report["memory"]["supervisor_kills"], 0, "{report}");
    assert_eq!(report["message"], Value::Null);
}

#[test]
fn without_the_guard_the_kernel_kills_the_container() {
    let fate = Fate::of("unguarded");
    assert_eq!((fate.group_kills, fate.code), (1, 137), "{}", fate.said);
    assert!(fate.kernel_kills > 2, "{}", fate.kernel_kills);
    assert!(fate.report().is_none(), "{}", fate.said);
    assert!(!fate.said.contains("\nstep "), "{}", fate.said);
}

#[test]
fn one_thread_dies_before_the_container() {
    assert_step_ended("one");
}

#[test]
fn sixty_four_threads_die_before_the_container() {
    assert_step_ended("threads");
}

#[test]
fn four_hundred_forks_die_before_the_container() {
    let fate = Fate::of("forks");
    let report = report_of_the_living(&fate);
    let kills = report["memory"]["supervisor_kills"].as_u64().unwrap();
    assert!(kills > 10, "{report}");
    // The command of the flavor exec is the step.
    assert_eq!((fate.code, &report["reason"]), (137, &"failed".into()));
    assert!(!fate.said.contains("not reached"), "{}", fate.said);
}

#[test]
fn cache_above_the_limit_costs_no_process() {
    assert_nothing_is_killed("cache");
}

#[test]
fn memory_below_the_limit_costs_no_process() {
    assert_nothing_is_killed("waves");
}

#[test]
fn tmpfs_ends_the_step_and_not_the_container() {
    let report = report_of_the_living(&Fate::of("tmpfs"));
    let message = report["message"].as_str().unwrap();
    assert!(message.contains("MiB of it lie in tmpfs"), "{message}");
}
