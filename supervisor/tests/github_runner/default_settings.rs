//! A pod that gets SIGTERM during an ordinary step: with the default settings, GitHub receives the job's failure.

use std::time::Duration;

use crate::fake::{Case, RUNNING, Seen, long, run};

/// The steps after the one that was ended run as if it had failed by itself.
fn lost_nothing(seen: &Seen, period: Duration) {
    seen.assert_failed("terminated", period);
    seen.assert_uninterrupted();
    seen.assert_steps(&[
        ("Long", "failed"),
        ("Plain", "skipped"),
        ("Always", "succeeded"),
        ("Failure", "succeeded"),
        ("Cancelled", "skipped"),
    ]);
    assert!(seen.log.contains("hook completed"), "{}", seen.log);
    seen.assert_order(&[
        "asked to end",
        "phase 1",
        "phase 2",
        "the job's steps are done",
    ]);
}

/// The supervisor's settings in the manifests, `KEY=VALUE`.
fn manifest() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../k8s/base/job.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let setting = |pair: &[&str]| {
        let key = pair[0].strip_prefix("- name: SUPERVISOR_")?;
        Some(format!("{key}={} ", pair[1].strip_prefix("value: ")?))
    };
    let settings: String = lines.windows(2).filter_map(setting).collect();
    for key in [
        "TERMINATION_GRACE_PERIOD=75s",
        "GRACE=45s",
        "WIPE__RESERVE=15s",
    ] {
        assert!(settings.contains(key), "{settings}");
    }
    settings
}

#[test]
fn a_pod_that_ends_during_a_step_tells_github() {
    let case = |name, check: fn(&Seen)| {
        Case::new(name, long(&format!("{RUNNING}; sleep 300")), check)
            .hook_completed("echo hook completed")
    };
    run(&[
        case("the manifests' settings", |seen| {
            lost_nothing(seen, Duration::from_secs(75));
        })
        .set(&manifest()),
        case("the defaults", |seen| {
            lost_nothing(seen, Duration::from_secs(30));
        }),
    ]);
}
