//! After a job that tries to leave files behind, root on the host finds none.
//!
//! The shape is a single container, which gives the job most means: its own namespaces, mounts and subordinate ids.
#![allow(clippy::unwrap_used, missing_docs)]

use support::{Job, fixture};

/// A script of `tests/fixtures/hiding`.
fn script(name: &str) -> String {
    std::fs::read_to_string(fixture("hiding").join(name)).unwrap()
}

#[test]
fn a_build_and_a_job_that_hides_leave_nothing() {
    let ended = Job::shell(&(script("build.sh") + &script("hide.sh")))
        .single()
        .run();
    assert_eq!(ended.code(), Some(0), "{}", ended.log);
    assert!(ended.log.contains("\nhidden: "), "{}", ended.log);
    ended.assert_nothing_is_left();
    let report = ended.report();
    assert_eq!(report["reason"], "completed");
    assert_eq!(report["wiped"]["leftover_count"], 0, "{report}");
    // The base image's files alone are thousands.
    assert!(
        report["wiped"]["files"].as_u64().unwrap() > 3000,
        "{report}"
    );
}

#[test]
fn a_job_that_fails_after_hiding_keeps_its_own_code() {
    let ended = Job::shell(&(script("hide.sh") + "exit 21\n"))
        .single()
        .run();
    assert_eq!(ended.code(), Some(21), "{}", ended.log);
    ended.assert_nothing_is_left();
}

#[test]
fn names_leftovers_and_fails_a_successful_job() {
    // Thirty thousand files cannot be removed in a millisecond.
    let many = "for i in {1..30000}; do : >$i; done; ";
    for (end, code) in [("exit 0", 75), ("exit 7", 7)] {
        let ended = Job::shell(&format!("{many}{end}"))
            .single()
            .arguments(&["--env", "SUPERVISOR_WIPE__BUDGET=1ms"])
            .run();
        assert_eq!(ended.code(), Some(code), "{}", ended.log);
        assert!(ended.log.contains("ETIME"), "{}", ended.log);
        // Looked at from outside: what is named is there.
        assert!(ended.log.contains("Workspace: NOT empty"), "{}", ended.log);
    }
}

#[test]
fn a_job_takes_no_descriptors_from_the_wipe() {
    let ended = Job::shell(": >file; prlimit --pid 1 --nofile=0:0; exit 7").run();
    assert_eq!(ended.code(), Some(7), "{}", ended.log);
    ended.assert_nothing_is_left();
}
