//! Pod Security standards, by Kubernetes' own evaluator.

use serde_json::{Value, json};

use crate::manifests::{Overlay, overlays, run};

/// The strictest level that a pod meets, and what the next one forbids.
pub(crate) fn level(pod: &Value) -> (String, String) {
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": pod});
    let output = run("POD_SECURITY", &[], Some(&pod.to_string()));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let line = String::from_utf8(output.stdout).unwrap();
    let (level, forbidden) = line.trim_end_matches('\n').split_once('\t').unwrap();
    (level.to_owned(), forbidden.to_owned())
}

/// A pod of the containers alone that stage the Secrets.
fn staging_alone(overlay: Overlay) -> Value {
    let mut pod = overlay.pod();
    let mut staging = pod["initContainers"].take();
    let containers = staging.as_array_mut().unwrap();
    containers.retain(|one| one["name"].as_str().unwrap().starts_with("stage-"));
    pod["containers"] = staging;
    pod.as_object_mut().unwrap().remove("initContainers");
    pod
}

#[test]
fn the_container_that_mounts_the_secret_meets_restricted() {
    for overlay in overlays() {
        let (level, forbidden) = level(&staging_alone(overlay));
        assert_eq!(level, "restricted", "{}: {forbidden}", overlay.name());
    }
}

#[test]
fn in_the_shape_split_the_jobs_container_meets_restricted() {
    for overlay in overlays() {
        let mut pod = overlay.pod();
        pod.as_object_mut().unwrap().remove("initContainers");
        let expected = if overlay.shape == "split" {
            "restricted"
        } else {
            "baseline"
        };
        let (level, forbidden) = level(&pod);
        assert_eq!(level, expected, "{}: {forbidden}", overlay.name());
    }
}

#[test]
fn no_pod_needs_a_privileged_namespace() {
    for overlay in overlays() {
        let (found, forbidden) = level(&overlay.pod());
        assert_eq!(found, "baseline", "{}: {forbidden}", overlay.name());
        let objects = overlay.objects();
        let namespace = objects.iter().find(|o| o["kind"] == "Namespace").unwrap();
        let enforced = &namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"];
        assert_eq!(enforced, "baseline");
    }
}

#[test]
fn the_evaluator_sees_a_lost_restriction() {
    let overlay = overlays()[0];
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
        let mut pod = staging_alone(overlay);
        *pod.pointer_mut(pointer).unwrap() = value;
        assert_eq!(level(&pod).0, expected, "{pointer}");
    }
}
