//! What a crash left is found, and removed when that is asked for.

use serde_json::json;

use crate::fakes::kube::NAMESPACE;
use crate::fakes::server::Fault;
use crate::fixture::{Lab, kill, until};

const LABELS: &str = "ci-cd-agents-launcher";

/// A crash of each kind, beside what must stay.
fn crashed(lab: &Lab) {
    let world = &lab.world;
    // A launch that was killed an hour ago, between registration and Secret.
    world.kube_server.fail("secrets", vec![Fault::HoldBefore]);
    let mut child = lab.spawn(&["--id", "half"]);
    until("the Secret", || world.kube_server.held() == 1);
    kill(&mut child);
    world.kube_server.no_faults();
    world.kube.update("jobs", "runner-half", |job| {
        job["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z".into();
    });
    world.github.add("runner-lost", "offline", false);
    world.kube.update("secrets", "runner-orphan", |secret| {
        secret["metadata"]["labels"] = json!({"app.kubernetes.io/managed-by": LABELS});
        secret["metadata"]["namespace"] = NAMESPACE.into();
    });
    // These are alive, or somebody else's.
    assert_eq!(lab.launch(&["--id", "alive"]).code, Some(0));
    world.github.add("theirs-x", "offline", false);
    world.github.add("runner-listens", "online", false);
    world.github.add("runner-works", "online", true);
    world.kube.update("secrets", "registry", |_| {});
}

fn names(lab: &Lab) -> Vec<String> {
    let mut names: Vec<String> = lab
        .world
        .github
        .runners()
        .into_iter()
        .map(|runner| runner.name)
        .collect();
    for resource in ["jobs", "secrets"] {
        names.extend(
            lab.world
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
fn gc_removes_what_nobody_will_use_and_nothing_else() {
    let lab = Lab::new();
    crashed(&lab);
    let before = names(&lab);
    let gc = ["gc", "--repo", "octo/cat"];
    let dry = lab.run(&gc);
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
    assert_eq!(names(&lab), before, "a dry run changes nothing");
    let wet = lab.run(&[&gc[..], &["--delete"]].concat());
    assert_eq!(wet.code, Some(0), "{wet:?}");
    assert_eq!(
        names(&lab),
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
    assert!(lab.run(&gc).stdout.is_empty());
}

#[test]
fn gc_without_github_looks_at_the_cluster_alone() {
    let lab = Lab::new();
    crashed(&lab);
    let asked = lab.world.github_server.requests().len();
    let ran = lab.run(&["gc", "--delete"]);
    assert_eq!(ran.stdout.lines().count(), 2, "{ran:?}");
    assert_eq!(lab.world.github_server.requests().len(), asked);
}
