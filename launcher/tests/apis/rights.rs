//! The roles of k8s/rbac: with them everything works, and without any one of their rights something does not.

use std::path::Path;

use serde_json::Value;

use crate::fakes::kube::{Course, Right, report};
use crate::fakes::server::Fault;
use crate::fixture::{Lab, until};

/// The rights of a Role in k8s/rbac, one by one.
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

/// A whole life: launched, followed with its logs, ended.
fn lives(rights: &[Right]) -> bool {
    let lab = Lab::new();
    lab.restrict(rights.to_vec());
    let child = lab.spawn(&["--id", "a", "--wait", "--logs"]);
    let mut child = Some(child);
    // Either it starts, or the command has ended for want of a right.
    until("start or end", || {
        lab.world.kube.starts().len() == 1 || child.as_mut().unwrap().try_wait().unwrap().is_some()
    });
    if lab.world.kube.starts().len() == 1 {
        lab.world
            .kube
            .log("runner-a", "runner", "2027-01-15T08:00:00Z", "seen");
        lab.world.kube.run("runner-a");
        lab.world
            .kube
            .event("Pod", "runner-a-x7k2p", "FailedMount", "told");
        until("log or end", || {
            lab.world.kube_server.count("/log") > 0
                || child.as_mut().unwrap().try_wait().unwrap().is_some()
        });
        lab.world.kube.finish("runner-a", 0, &report(0));
        lab.world.kube.end_logs("runner-a");
    }
    let ran = crate::fixture::ran(child.take().unwrap());
    ran.code == Some(0) && ran.stdout.contains("seen")
}

/// A launch that fails at its start, and leaves nothing.
fn takes_back(rights: &[Right]) -> bool {
    let lab = Lab::new();
    lab.restrict(rights.to_vec());
    lab.world.github_server.fail(
        "jitconfig",
        vec![Fault::Status(
            422,
            serde_json::json!({"message": "no"}),
            vec![],
        )],
    );
    lab.launch(&["--id", "a"]);
    lab.world.kube_server.count("PATCH") > 0 && lab.world.kube.list("jobs").is_empty()
}

/// A launch that was killed once its Secret was stored or about to be, taken up again with the runner gone or not.
fn takes_up(rights: &[Right], runner_gone: bool) -> bool {
    let lab = Lab::new();
    lab.world.kube.course(Course::Ends(0));
    lab.world
        .kube_server
        .fail("secrets", vec![Fault::HoldAfter]);
    let mut child = lab.spawn(&["--id", "a"]);
    until("the Secret", || lab.world.kube_server.held() == 1);
    crate::fixture::kill(&mut child);
    lab.world.kube_server.no_faults();
    if runner_gone {
        lab.world.github.done("jit-1");
    }
    lab.restrict(rights.to_vec());
    lab.launch(&["--id", "a"]).code == Some(0) && lab.world.kube.starts().len() == 1
}

fn works(rights: &[Right]) -> bool {
    lives(rights) && takes_back(rights) && takes_up(rights, false) && takes_up(rights, true)
}

/// Finds and removes one leftover of each kind.
fn collects(rights: &[Right]) -> bool {
    let lab = Lab::new();
    lab.world
        .kube_server
        .fail("secrets", vec![Fault::HoldBefore]);
    let mut child = lab.spawn(&["--id", "half"]);
    until("the Secret", || lab.world.kube_server.held() == 1);
    crate::fixture::kill(&mut child);
    lab.world.kube_server.no_faults();
    lab.world.kube.update("jobs", "runner-half", |job| {
        job["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z".into();
    });
    lab.world.kube.update("secrets", "runner-lost", |secret| {
        secret["metadata"]["labels"] =
            serde_json::json!({"app.kubernetes.io/managed-by": "ci-cd-agents-launcher"});
    });
    lab.restrict(rights.to_vec());
    let ran = lab.run(&["gc", "--delete"]);
    ran.code == Some(0)
        && lab.world.kube.list("jobs").is_empty()
        && lab.world.kube.list("secrets").is_empty()
}

fn each_is_needed(rights: &[Right], works: impl Fn(&[Right]) -> bool) {
    assert!(works(rights), "the role does not suffice");
    for number in 0..rights.len() {
        let mut fewer = rights.to_vec();
        let (group, resource, verb) = fewer.remove(number);
        assert!(!works(&fewer), "{verb} {resource}.{group} is not needed");
    }
}

#[test]
fn a_launcher_needs_each_right_of_its_role_and_no_other() {
    each_is_needed(&rights("launcher"), works);
}

#[test]
fn the_collector_needs_each_right_of_its_role_and_no_other() {
    each_is_needed(&rights("launcher-gc"), collects);
}
