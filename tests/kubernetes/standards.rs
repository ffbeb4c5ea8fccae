//! Pod Security standards, by Kubernetes' own evaluator.

use serde_json::{Value, json};

use support::manifests::{kustomize, parse, run_tool};

use crate::manifests::{Rendering, all};

/// The strictest level that each pod meets, and what the next one forbids.
fn levels(pods: &[Value]) -> Vec<(String, String)> {
    let pods = pods.iter().map(|pod| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": pod})
            .to_string()
    });
    let output = run_tool(
        "POD_SECURITY",
        &[],
        &pods.collect::<Vec<_>>().join(
            "
",
        ),
    );
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let parts = lines.lines().map(|line| line.split_once('\t').unwrap());
    parts
        .map(|(level, why)| (level.to_owned(), why.to_owned()))
        .collect()
}

fn level(pod: Value) -> (String, String) {
    levels(&[pod]).remove(0)
}

/// A pod of the containers alone that stage the Secrets.
fn staging_alone(rendering: &Rendering) -> Value {
    let mut pod = rendering.pod().clone();
    let mut staging = pod["initContainers"].take();
    let containers = staging.as_array_mut().unwrap();
    containers.retain(|one| one["name"].as_str().unwrap().starts_with("stage-"));
    pod["containers"] = staging;
    pod.as_object_mut().unwrap().remove("initContainers");
    pod
}

fn assert_levels(
    part: impl Fn(&Rendering) -> Value,
    expected: impl Fn(&Rendering) -> &'static str,
) {
    let pods: Vec<Value> = all().iter().map(part).collect();
    let levels = levels(&pods);
    assert_eq!(levels.len(), all().len());
    for (rendering, (level, why)) in all().iter().zip(levels) {
        assert_eq!(level, expected(rendering), "{}: {why}", rendering.name);
    }
}

#[test]
fn meets_restricted_if_the_secrets_reader_is_not_root() {
    assert_levels(staging_alone, |rendering| {
        match (rendering.label("shape"), rendering.label("profile")) {
            ("single", "userns") => "baseline",
            _ => "restricted",
        }
    });
}

#[test]
fn in_the_shape_split_the_jobs_container_meets_restricted() {
    let runner_alone = |rendering: &Rendering| {
        let mut pod = rendering.pod().clone();
        pod.as_object_mut().unwrap().remove("initContainers");
        pod
    };
    assert_levels(runner_alone, |rendering| match rendering.label("shape") {
        "split" => "restricted",
        _ => "baseline",
    });
}

#[test]
fn needs_no_privileged_namespace_for_any_pod() {
    assert_levels(|rendering| rendering.pod().clone(), |_| "baseline");
    for rendering in all() {
        let labels = &rendering.of_kind("Namespace")["metadata"]["labels"];
        assert_eq!(labels["pod-security.kubernetes.io/enforce"], "baseline");
    }
}

/// The root that stages for a root has nothing else that `restricted` forbids.
#[test]
fn staging_as_root_is_its_user_and_nothing_more() {
    let single = all().iter().find(|one| one.name == "github-single-userns");
    let (found, why) = level(staging_alone(single.unwrap()));
    assert_eq!(found, "baseline");
    for word in [
        "privileged",
        "Escalation",
        "capabilities",
        "seccomp",
        "volume",
    ] {
        assert!(!why.contains(word), "{why}");
    }
}

#[test]
fn needs_one_host_path_to_bring_the_profile_to_nodes() {
    let objects = parse(&[kustomize("k8s/seccomp")]).remove(0);
    let set = objects
        .iter()
        .find(|object| object["kind"] == "DaemonSet")
        .unwrap();
    let mut pod = set["spec"]["template"]["spec"].clone();
    let (found, why) = level(pod.clone());
    assert_eq!(found, "privileged");
    assert!(why.starts_with("hostPath volumes"), "{why}");
    let volumes = pod["volumes"].as_array_mut().unwrap();
    volumes.retain(|volume| {
        volume
            .get("hostPath")
            .is_none_or(|path| path["path"] != "/var/lib/kubelet/seccomp")
    });
    assert_eq!(level(pod).0, "baseline");
    let namespace = objects
        .iter()
        .find(|object| object["kind"] == "Namespace")
        .unwrap();
    assert_ne!(namespace["metadata"]["name"], "ci-cd-agents");
}

#[test]
fn the_evaluator_sees_a_lost_restriction() {
    for (pointer, value, expected) in [
        (
            "/containers/0/securityContext/allowPrivilegeEscalation",
            json!(true),
            "baseline",
        ),
        (
            "/containers/0/securityContext/capabilities/drop",
            json!([]),
            "baseline",
        ),
        (
            "/containers/0/securityContext/privileged",
            json!(true),
            "privileged",
        ),
        ("/hostPID", json!(true), "privileged"),
    ] {
        let split = all().iter().find(|one| one.name == "github-split-rootless");
        let mut pod = staging_alone(split.unwrap());
        *pod.pointer_mut(pointer).unwrap() = value;
        assert_eq!(level(pod).0, expected, "{pointer}");
    }
}
