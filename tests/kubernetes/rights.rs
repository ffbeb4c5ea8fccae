//! What each container says of itself: everything, and nothing more than the table allows.

use serde_json::{Value, json};

use crate::manifests::{containers, overlays};

/// The whole securityContext of a container that builds nothing.
fn restricted() -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]},
        "privileged": false,
        "procMount": "Default",
        "readOnlyRootFilesystem": true,
        "runAsGroup": 1000,
        "runAsNonRoot": true,
        "runAsUser": 1000,
        "seccompProfile": {"type": "RuntimeDefault"},
    })
}

/// The same with what Buildah needs.
fn builds(profile: &str) -> Value {
    let mut context = restricted();
    context["readOnlyRootFilesystem"] = json!(false);
    context["seccompProfile"] = json!({"type": "Localhost", "localhostProfile": "buildah.json"});
    if profile == "userns" {
        context["capabilities"]["add"] = json!(["SETUID", "SETGID", "SETFCAP"]);
        context["runAsUser"] = json!(0);
        context["runAsGroup"] = json!(0);
        context["runAsNonRoot"] = json!(false);
    } else {
        context["capabilities"]["add"] = json!(["SETUID", "SETGID"]);
        context["allowPrivilegeEscalation"] = json!(true);
    }
    context
}

#[test]
fn every_container_has_its_rights_by_the_table() {
    for overlay in overlays() {
        let pod = overlay.pod();
        for container in containers(&pod) {
            let name = container["name"].as_str().unwrap();
            let builder = if overlay.shape == "single" {
                "runner"
            } else {
                "builder"
            };
            let expected = if name == builder {
                builds(overlay.profile)
            } else {
                restricted()
            };
            assert_eq!(
                container["securityContext"],
                expected,
                "{} {name}",
                overlay.name()
            );
        }
    }
}

/// The runner in the shape `split` reaches the builder's socket, and nothing else of the builder's.
#[test]
fn the_builder_shares_the_workspace_and_the_socket() {
    let split = || {
        overlays()
            .into_iter()
            .filter(|overlay| overlay.shape == "split")
    };
    assert!(split().count() > 0);
    for overlay in split() {
        let pod = overlay.pod();
        let of = |name: &str| -> Vec<(String, String)> {
            let all = containers(&pod);
            let container = all.iter().find(|one| one["name"] == name).unwrap();
            let mounts = container["volumeMounts"].as_array().unwrap().iter();
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            mounts
                .map(|mount| (text(&mount["name"]), text(&mount["mountPath"])))
                .collect()
        };
        let builder = of("builder");
        let mut shared = of("runner");
        shared.retain(|(volume, _)| builder.iter().any(|(other, _)| other == volume));
        shared.sort();
        let expected = [
            ("builder-socket", "/run/builder"),
            ("workspace", "/workspace"),
        ];
        let expected = expected.map(|(volume, path)| (volume.to_owned(), path.to_owned()));
        assert_eq!(shared, expected, "{}", overlay.name());
        let sidecar = containers(&pod)
            .into_iter()
            .find(|one| one["name"] == "builder");
        assert_eq!(sidecar.unwrap()["restartPolicy"], "Always");
    }
}

#[test]
fn every_container_states_its_resources_and_its_last_words() {
    for overlay in overlays() {
        let pod = overlay.pod();
        for container in containers(&pod) {
            let name = &container["name"];
            for resource in ["memory", "ephemeral-storage"] {
                for kind in ["requests", "limits"] {
                    let value = &container["resources"][kind][resource];
                    assert!(value.is_string(), "{name}: {kind}.{resource}");
                }
            }
            assert_eq!(container["terminationMessagePath"], "/dev/termination-log");
        }
    }
}

#[test]
fn the_pod_shares_nothing_with_the_node_and_has_no_token() {
    for overlay in overlays() {
        let pod = overlay.pod();
        for (key, value) in [
            ("automountServiceAccountToken", false),
            ("enableServiceLinks", false),
            ("shareProcessNamespace", false),
            ("hostNetwork", false),
            ("hostPID", false),
            ("hostIPC", false),
        ] {
            assert_eq!(pod[key], value, "{}: {key}", overlay.name());
        }
        let host_users = pod.get("hostUsers").and_then(Value::as_bool);
        let own = (overlay.profile == "userns").then_some(false);
        assert_eq!(host_users, own, "{}", overlay.name());
        for volume in pod["volumes"].as_array().unwrap() {
            let kinds: Vec<&String> = volume
                .as_object()
                .unwrap()
                .keys()
                .filter(|key| *key != "name")
                .collect();
            assert!(
                kinds == ["emptyDir"] || kinds == ["secret"] || kinds == ["ephemeral"],
                "{}: {volume}",
                overlay.name()
            );
            if let Some(directory) = volume.get("emptyDir") {
                assert!(directory["sizeLimit"].is_string(), "{volume}");
            }
        }
    }
}

#[test]
fn only_the_init_containers_mount_secrets_and_staged_ones_lie_in_memory() {
    for overlay in overlays() {
        let pod = overlay.pod();
        let volumes = pod["volumes"].as_array().unwrap();
        let secrets: Vec<&Value> = volumes
            .iter()
            .filter(|volume| volume.get("secret").is_some())
            .map(|volume| &volume["name"])
            .collect();
        assert!(!secrets.is_empty());
        for container in containers(&pod) {
            let staging = container["name"].as_str().unwrap().starts_with("stage-");
            for mount in container["volumeMounts"].as_array().unwrap() {
                if secrets.contains(&&mount["name"]) {
                    assert!(staging, "{}: {}", overlay.name(), container["name"]);
                    assert_eq!(mount["readOnly"], true);
                }
                if mount["mountPath"] == "/run/secrets/supervisor" {
                    let volume = volumes
                        .iter()
                        .find(|volume| volume["name"] == mount["name"])
                        .unwrap();
                    assert_eq!(volume["emptyDir"]["medium"], "Memory", "{volume}");
                }
            }
        }
    }
}

#[test]
fn the_grace_periods_are_in_step() {
    for overlay in overlays() {
        let pod = overlay.pod();
        let seconds = |container: &Value, name: &str| -> u64 {
            let variables = container["env"].as_array().unwrap();
            let found = variables.iter().find(|variable| variable["name"] == name);
            let text = found.unwrap()["value"].as_str().unwrap();
            text.trim_end_matches('s').parse().unwrap()
        };
        let whole = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
        let mut used = 0;
        for container in containers(&pod) {
            let name = container["name"].as_str().unwrap();
            if name.starts_with("stage-") {
                continue;
            }
            let period = seconds(container, "SUPERVISOR_TERMINATION_GRACE_PERIOD");
            let parts = seconds(container, "SUPERVISOR_GRACE")
                + seconds(container, "SUPERVISOR_WIPE__RESERVE");
            assert!(parts <= period, "{name}: {parts} of {period}");
            used += period;
        }
        assert!(used <= whole, "{}: {used} of {whole}", overlay.name());
    }
}

#[test]
fn a_job_is_tried_once_and_a_lost_node_has_its_own_reason() {
    for overlay in overlays() {
        let spec = overlay.job()["spec"].take();
        assert_eq!(spec["backoffLimit"], 0);
        assert_eq!(spec["template"]["spec"]["restartPolicy"], "Never");
        assert!(spec["activeDeadlineSeconds"].is_u64() && spec["ttlSecondsAfterFinished"].is_u64());
        let rule = &spec["podFailurePolicy"]["rules"][0];
        assert_eq!(rule["action"], "FailJob");
        assert_eq!(rule["onPodConditions"][0]["type"], "DisruptionTarget");
    }
}
