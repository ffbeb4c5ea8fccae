//! The roles of k8s/rbac: each right is needed, and all of them suffice.

use std::path::Path;

use fake_apis::kube::{PodBehavior, Right, report};
use fake_apis::server::Fault;
use serde_json::Value;
use test_support::eventually;

use crate::fixture::Fixture;

/// Lists the rights of a Role in k8s/rbac.
fn rights(role: &str) -> Vec<Right> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../k8s/rbac/launcher.yaml");
    let text = std::fs::read_to_string(file).unwrap();
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let role = objects
        .into_iter()
        .find(|object| object["kind"] == "Role" && object["metadata"]["name"] == role)
        .unwrap();
    let texts = |rule: &Value, key: &str| -> Vec<String> {
        rule[key]
            .as_array()
            .unwrap()
            .iter()
            .map(|text| text.as_str().unwrap().to_owned())
            .collect()
    };
    let mut all = Vec::new();
    for rule in role["rules"].as_array().unwrap() {
        for group in texts(rule, "apiGroups") {
            for resource in texts(rule, "resources") {
                all.extend(
                    texts(rule, "verbs")
                        .into_iter()
                        .map(|verb| (group.clone(), resource.clone(), verb)),
                );
            }
        }
    }
    assert!(
        all.iter()
            .all(|(group, resource, verb)| ![group, resource, verb].contains(&&"*".to_owned()))
    );
    all
}

/// Launches a job and follows it with its logs to its end.
fn completes(rights: &[Right]) -> bool {
    let fixture = Fixture::new();
    fixture.restrict(rights.to_vec());
    let child = fixture.spawn(&["--id", "a", "--wait", "--logs"]);
    let mut child = Some(child);
    // The job starts, or the command exits because a right is missing.
    eventually("start or end", || {
        fixture.apis.kube.starts().len() == 1
            || child.as_mut().unwrap().try_wait().unwrap().is_some()
    });
    if fixture.apis.kube.starts().len() == 1 {
        fixture
            .apis
            .kube
            .log("runner-a", "runner", "2027-01-15T08:00:00Z", "seen");
        fixture.apis.kube.run("runner-a");
        fixture
            .apis
            .kube
            .event("Pod", "runner-a-x7k2p", "FailedMount", "a problem");
        eventually("log or end", || {
            fixture.apis.kube_server.count("/log") > 0
                || child.as_mut().unwrap().try_wait().unwrap().is_some()
        });
        fixture.apis.kube.finish("runner-a", 0, &report(0));
        fixture.apis.kube.end_logs("runner-a");
    }
    let ran = crate::fixture::wait_for(child.take().unwrap());
    ran.code == Some(0) && ran.stdout.contains("seen")
}

/// Fails to launch a job, and rolls it back.
fn rolls_back(rights: &[Right]) -> bool {
    let fixture = Fixture::new();
    fixture.restrict(rights.to_vec());
    fixture.apis.github_server.fail_next(
        "jitconfig",
        vec![Fault::Status(
            422,
            serde_json::json!({"message": "no"}),
            vec![],
        )],
    );
    fixture.launch(&["--id", "a"]);
    fixture.apis.kube_server.count("PATCH") > 0 && fixture.apis.kube.list("jobs").is_empty()
}

/// Resumes a launch that was killed after its Secret was stored. The runner may be gone in the meantime.
fn resumes(rights: &[Right], runner_gone: bool) -> bool {
    let fixture = Fixture::new();
    fixture.apis.kube.set_pod_behavior(PodBehavior::Exits(0));
    fixture
        .apis
        .kube_server
        .fail_next("secrets", vec![Fault::HoldAfter]);
    let mut child = fixture.spawn(&["--id", "a"]);
    eventually("the Secret", || fixture.apis.kube_server.held() == 1);
    crate::fixture::kill(&mut child);
    fixture.apis.kube_server.clear_faults();
    if runner_gone {
        fixture.apis.github.finish_job("jit-1");
    }
    fixture.restrict(rights.to_vec());
    fixture.launch(&["--id", "a"]).code == Some(0) && fixture.apis.kube.starts().len() == 1
}

fn works(rights: &[Right]) -> bool {
    completes(rights) && rolls_back(rights) && resumes(rights, false) && resumes(rights, true)
}

/// Finds and removes one leftover of each kind.
fn collects(rights: &[Right]) -> bool {
    let fixture = Fixture::new();
    fixture
        .apis
        .kube_server
        .fail_next("secrets", vec![Fault::HoldBefore]);
    let mut child = fixture.spawn(&["--id", "half"]);
    eventually("the Secret", || fixture.apis.kube_server.held() == 1);
    crate::fixture::kill(&mut child);
    fixture.apis.kube_server.clear_faults();
    fixture.apis.kube.update("jobs", "runner-half", |job| {
        job["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z".into();
    });
    fixture
        .apis
        .kube
        .update("secrets", "runner-lost", |secret| {
            secret["metadata"]["labels"] =
                serde_json::json!({"app.kubernetes.io/managed-by": "ci-cd-agents-launcher"});
        });
    fixture.restrict(rights.to_vec());
    let ran = fixture.run(&["gc", "--delete"]);
    ran.code == Some(0)
        && fixture.apis.kube.list("jobs").is_empty()
        && fixture.apis.kube.list("secrets").is_empty()
}

fn each_is_needed(rights: &[Right], works: impl Fn(&[Right]) -> bool) {
    assert!(works(rights), "the role lacks a right");
    for number in 0..rights.len() {
        let mut fewer = rights.to_vec();
        let (group, resource, verb) = fewer.remove(number);
        assert!(!works(&fewer), "{verb} {resource}.{group} is not needed");
    }
}

#[test]
fn the_launchers_role_has_exactly_the_needed_rights() {
    each_is_needed(&rights("launcher"), works);
}

#[test]
fn the_gc_role_has_exactly_the_needed_rights() {
    each_is_needed(&rights("launcher-gc"), collects);
}
