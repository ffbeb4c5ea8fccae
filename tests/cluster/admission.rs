//! The API server accepts every object of every overlay and component. The namespace rejects settings that no overlay needs.

use serde_json::{Value, json};

use crate::kubectl::{Namespace, attempt, kubectl};
use crate::overlay::{components, list, names, objects};

fn named(objects: &[Value], kind: &str) -> bool {
    objects.iter().any(|object| object["kind"] == kind)
}

#[test]
fn the_api_server_takes_every_overlay_and_component() {
    for overlay in names() {
        let namespace = Namespace::new(&format!("apply-{overlay}"));
        let bare = objects(&overlay, &[], &namespace.0, None);
        let is_namespace = |object: &&Value| object["kind"] == "Namespace";
        let of_its_own: Vec<Value> = bare.iter().filter(is_namespace).cloned().collect();
        kubectl(&["apply", "--filename=-"], &list(&of_its_own));
        // One after the other without a trace, then all at once for real.
        for component in components() {
            let with = objects(&overlay, &[component], &namespace.0, None);
            dry_run(&with);
        }
        let all = objects(&overlay, &components(), &namespace.0, None);
        for kind in [
            "Job",
            "NetworkPolicy",
            "LimitRange",
            "ResourceQuota",
            "PriorityClass",
        ] {
            assert!(all.iter().any(|object| object["kind"] == kind), "{kind}");
        }
        assert!(named(&bare, "ServiceAccount"));
        dry_run(&bare);
        let said = kubectl(&["apply", "--validate=strict", "--filename=-"], &list(&all));
        assert_eq!(said.lines().count(), all.len(), "{said}");
    }
}

/// No warning either: the namespace's own standard would be one.
fn dry_run(objects: &[Value]) {
    let arguments = [
        "apply",
        "--dry-run=server",
        "--validate=strict",
        "--warnings-as-errors",
        "--filename=-",
    ];
    let said = kubectl(&arguments, &list(objects));
    assert_eq!(said.lines().count(), objects.len(), "{said}");
}

#[test]
fn the_namespace_refuses_what_no_job_needs() {
    let namespace = Namespace::new("refuses");
    let all = objects("github-split-rootless", &[], &namespace.0, None);
    kubectl(&["apply", "--filename=-"], &list(&all));
    let job = all.iter().find(|object| object["kind"] == "Job").unwrap();
    let attempt_with = |pointer: &str, value: Value| {
        let mut spec = job["spec"]["template"]["spec"].clone();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        spec.pointer_mut(parent).unwrap()[field] = value;
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "namespace": namespace.0}, "spec": spec,
        });
        attempt(
            &["apply", "--dry-run=server", "--filename=-"],
            &pod.to_string(),
        )
    };
    attempt_with("/restartPolicy", json!("Never")).unwrap();
    let runner = "/containers/0/securityContext";
    let mut volumes = job["spec"]["template"]["spec"]["volumes"].clone();
    let of_the_node = json!({"name": "node", "hostPath": {"path": "/"}});
    volumes.as_array_mut().unwrap().push(of_the_node);
    for (pointer, value) in [
        (runner.to_owned(), json!({"privileged": true})),
        ("/volumes".to_owned(), volumes),
        (
            format!("{runner}/capabilities"),
            json!({"drop": ["ALL"], "add": ["SYS_ADMIN"]}),
        ),
        (
            format!("{runner}/seccompProfile"),
            json!({"type": "Unconfined"}),
        ),
        ("/hostPID".to_owned(), json!(true)),
        ("/hostNetwork".to_owned(), json!(true)),
    ] {
        let said = attempt_with(&pointer, value).unwrap_err();
        assert!(said.contains("violates PodSecurity"), "{pointer}: {said}");
    }
}
