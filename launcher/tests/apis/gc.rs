//! `launcher gc` finds the leftovers of a crashed launcher, and removes them with --delete.

use fake_apis::kube::NAMESPACE;
use fake_apis::server::Fault;
use serde_json::json;
use test_support::eventually;

use crate::fixture::{Fixture, kill};

const LABELS: &str = "ci-cd-agents-launcher";

/// Creates one leftover of each kind, beside objects that must stay.
fn crashed(fixture: &Fixture) {
    let apis = &fixture.apis;
    // A launch that was killed long ago, between the registration and the Secret.
    apis.kube_server
        .fail_next("secrets", vec![Fault::HoldBefore]);
    let mut child = fixture.spawn(&["--id", "half"]);
    eventually("the Secret", || apis.kube_server.held() == 1);
    kill(&mut child);
    apis.kube_server.clear_faults();
    apis.kube.update("jobs", "runner-half", |job| {
        job["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z".into();
    });
    apis.github.add("runner-lost", "offline", false);
    apis.kube.update("secrets", "runner-orphan", |secret| {
        secret["metadata"]["labels"] = json!({"app.kubernetes.io/managed-by": LABELS});
        secret["metadata"]["namespace"] = NAMESPACE.into();
    });
    // These are in use, or were not made by a launcher.
    assert_eq!(fixture.launch(&["--id", "alive"]).code, Some(0));
    apis.github.add("theirs-x", "offline", false);
    apis.github.add("runner-listens", "online", false);
    apis.github.add("runner-works", "online", true);
    apis.kube.update("secrets", "registry", |_| {});
}

fn names(fixture: &Fixture) -> Vec<String> {
    let mut names: Vec<String> = fixture
        .apis
        .github
        .runners()
        .into_iter()
        .map(|runner| runner.name)
        .collect();
    for resource in ["jobs", "secrets"] {
        names.extend(
            fixture
                .apis
                .kube
                .list(resource)
                .iter()
                .map(|o| o["metadata"]["name"].as_str().unwrap().to_owned()),
        );
    }
    names.sort();
    names
}

#[test]
fn gc_removes_leftovers_and_nothing_else() {
    let fixture = Fixture::new();
    crashed(&fixture);
    let before = names(&fixture);
    let gc = ["gc", "--repo", "octo/cat"];
    let dry = fixture.run(&gc);
    assert_eq!(dry.code, Some(0), "{dry:?}");
    let mut found: Vec<&str> = dry
        .stdout
        .lines()
        .map(|line| line.split(':').next().unwrap())
        .collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "job runner-half",
            "runner runner-half",
            "runner runner-lost",
            "secret runner-orphan"
        ]
    );
    assert_eq!(names(&fixture), before, "a dry run changes nothing");
    let wet = fixture.run(&[&gc[..], &["--delete"]].concat());
    assert_eq!(wet.code, Some(0), "{wet:?}");
    assert_eq!(
        names(&fixture),
        [
            "registry",
            "runner-alive",
            "runner-alive",
            "runner-alive",
            "runner-listens",
            "runner-works",
            "theirs-x"
        ]
    );
    assert!(fixture.run(&gc).stdout.is_empty());
}

#[test]
fn gc_without_a_target_checks_the_cluster_only() {
    let fixture = Fixture::new();
    crashed(&fixture);
    let before = fixture.apis.github_server.requests().len();
    let ran = fixture.run(&["gc", "--delete"]);
    assert_eq!(ran.stdout.lines().count(), 2, "{ran:?}");
    assert_eq!(fixture.apis.github_server.requests().len(), before);
}
