//! No container of any combination loses a restriction, and one that did would be found.

use serde_json::{Value, json};
use std::process::Command;
use support::manifests::containers;
use support::supervisor;

use crate::manifests::{Rendering, all, plain};
use crate::restrictions::faults;

#[test]
fn every_combination_is_what_the_table_says() {
    for rendering in all() {
        let faults = faults(rendering.job(), &rendering.components);
        assert!(faults.is_empty(), "{}: {faults:#?}", rendering.name);
    }
}

/// A change of a Job, and what it was.
type Mutation = (String, Value);

/// Every field that says anything of security, taken out, turned around, or added to.
fn mutations(job: &Value) -> Vec<Mutation> {
    let mut all = Vec::new();
    let pod = "/spec/template/spec";
    let read = |pointer: &str| job.pointer(pointer).unwrap();
    for field in [
        "backoffLimit",
        "podFailurePolicy",
        "activeDeadlineSeconds",
        "ttlSecondsAfterFinished",
    ] {
        all.extend(removed(job, "/spec", field));
    }
    for field in read(pod).as_object().unwrap().keys() {
        if ![
            "containers",
            "initContainers",
            "volumes",
            "priorityClassName",
        ]
        .contains(&field.as_str())
        {
            all.extend(removed(job, pod, field));
            all.extend(turned(job, &format!("{pod}/{field}")));
        }
    }
    for list in ["initContainers", "containers"] {
        let length = read(&format!("{pod}/{list}")).as_array().unwrap().len();
        for number in 0..length {
            container_mutations(job, &format!("{pod}/{list}/{number}"), &mut all);
        }
    }
    for number in 0..read(&format!("{pod}/volumes")).as_array().unwrap().len() {
        volume_mutations(job, &format!("{pod}/volumes/{number}"), &mut all);
    }
    for (field, value) in [
        ("hostUsers", json!(true)),
        ("hostAliases", json!([])),
        ("ephemeralContainers", json!([{"name": "x"}])),
        ("runtimeClassName", json!("other")),
    ] {
        all.push(set(job, pod, field, value));
    }
    all.push(set(job, pod, "terminationGracePeriodSeconds", json!(80)));
    let mut swapped = job.clone();
    swapped
        .pointer_mut(&format!("{pod}/initContainers"))
        .unwrap()
        .as_array_mut()
        .unwrap()
        .reverse();
    all.push(("the order of the init containers".to_owned(), swapped));
    all
}

fn container_mutations(job: &Value, container: &str, all: &mut Vec<Mutation>) {
    let context = format!("{container}/securityContext");
    for field in job.pointer(&context).unwrap().as_object().unwrap().keys() {
        all.extend(removed(job, &context, field));
        all.extend(turned(job, &format!("{context}/{field}")));
    }
    all.extend(removed(job, container, "securityContext"));
    all.extend(removed(job, &format!("{context}/capabilities"), "drop"));
    all.push(set(
        job,
        &format!("{context}/capabilities"),
        "add",
        json!(["SYS_ADMIN"]),
    ));
    all.push(set(
        job,
        &context,
        "seccompProfile",
        json!({"type": "Unconfined"}),
    ));
    all.push(set(job, &context, "procMount", json!("Unmasked")));
    all.push(set(
        job,
        &context,
        "appArmorProfile",
        json!({"type": "Unconfined"}),
    ));
    all.push(set(
        job,
        &context,
        "seLinuxOptions",
        json!({"type": "spc_t"}),
    ));
    all.push(set(
        job,
        container,
        "ports",
        json!([{"containerPort": 1, "hostPort": 1}]),
    ));
    all.push(set(
        job,
        container,
        "envFrom",
        json!([{"secretRef": {"name": "github"}}]),
    ));
    all.push(set(job, container, "volumeDevices", json!([])));
    all.push(set(job, container, "lifecycle", json!({})));
    let variable = json!([{"name": "X", "valueFrom": {"secretKeyRef": {"name": "github", "key": "jitconfig"}}}]);
    all.push(set(job, container, "env", variable));
    for side in ["requests", "limits"] {
        all.extend(removed(
            job,
            &format!("{container}/resources/{side}"),
            "memory",
        ));
        all.extend(removed(
            job,
            &format!("{container}/resources/{side}"),
            "ephemeral-storage",
        ));
    }
    all.extend(removed(job, container, "terminationMessagePath"));
    all.extend(removed(job, container, "restartPolicy"));
    let mounts = format!("{container}/volumeMounts");
    for (number, mount) in job
        .pointer(&mounts)
        .unwrap()
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
    {
        let mount = (format!("{mounts}/{number}"), mount["readOnly"] == true);
        all.push(set(
            job,
            &mount.0,
            "mountPropagation",
            json!("Bidirectional"),
        ));
        all.push(set(job, &mount.0, "readOnly", json!(!mount.1)));
    }
    let mut more = job.clone();
    let list = more.pointer_mut(&mounts).unwrap().as_array_mut().unwrap();
    list.push(json!({"name": "builder-secrets", "mountPath": "/x", "readOnly": true}));
    all.push((format!("{mounts}: one more"), more));
}

fn volume_mutations(job: &Value, volume: &str, all: &mut Vec<Mutation>) {
    for (source, field) in [
        ("emptyDir", "sizeLimit"),
        ("emptyDir", "medium"),
        ("secret", "defaultMode"),
        ("ephemeral", "volumeClaimTemplate"),
    ] {
        all.extend(removed(job, &format!("{volume}/{source}"), field));
    }
    all.push(set(job, volume, "hostPath", json!({"path": "/"})));
    let token = json!({"sources": [{"serviceAccountToken": {"path": "token"}}]});
    all.push(set(job, volume, "projected", token));
}

fn removed(job: &Value, parent: &str, field: &str) -> Option<Mutation> {
    let mut job = job.clone();
    let gone = job.pointer_mut(parent)?.as_object_mut()?.remove(field)?;
    Some((format!("{parent}/{field} removed, was {gone}"), job))
}

/// A boolean is its opposite, an id another.
fn turned(job: &Value, pointer: &str) -> Option<Mutation> {
    let mut job = job.clone();
    let value = job.pointer_mut(pointer)?;
    *value = match &*value {
        Value::Bool(is) => json!(!*is),
        Value::Number(is) if is.as_u64()? < 2000 && !pointer.ends_with("Seconds") => {
            json!(is.as_u64()? + 1)
        }
        _ => return None,
    };
    Some((format!("{pointer} turned"), job))
}

fn set(job: &Value, parent: &str, field: &str, value: Value) -> Mutation {
    let mut job = job.clone();
    let name = format!("{parent}/{field} set to {value}");
    job.pointer_mut(parent).unwrap()[field] = value;
    (name, job)
}

/// With all components, so that what they add is among it.
#[test]
fn a_lost_restriction_is_found_in_every_container() {
    let fullest: Vec<&Rendering> = all()
        .iter()
        .filter(|one| one.name.ends_with("with all components"))
        .collect();
    let mut count = 0;
    for rendering in plain().into_iter().chain(fullest) {
        for (what, job) in mutations(rendering.job()) {
            let found = faults(&job, &rendering.components);
            assert!(!found.is_empty(), "{}: {what}", rendering.name);
            count += 1;
        }
    }
    assert!(count > 2000, "{count}");
}

/// The supervisor itself holds the seconds of each container against one another.
#[test]
fn the_supervisor_takes_every_containers_settings() {
    let mut seen = Vec::new();
    for rendering in all() {
        for container in containers(rendering.pod()) {
            let Some(variables) = container["env"].as_array() else {
                continue;
            };
            if seen.contains(variables) {
                continue;
            }
            seen.push(variables.clone());
            let variables = variables.iter().map(|variable| {
                let text = |key: &str| variable[key].as_str().unwrap();
                (text("name"), text("value"))
            });
            let output = Command::new(supervisor())
                .args(["config", "--json"])
                .envs(variables)
                .output();
            let output = output.unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}: {said}", rendering.name);
        }
    }
}
