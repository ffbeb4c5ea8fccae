//! The limits around a Job: its network policy, quota and limit range.

use std::net::IpAddr;
use std::process::Command;

use serde_json::{Value, json};
use support::manifests::containers;
use support::root;

use crate::manifests::{Rendering, all, components, plain};

/// The destination of a packet: an address, or pods of a namespace.
#[derive(Debug, Clone, Copy)]
enum To {
    Address(&'static str),
    Pods(&'static str),
}

use To::{Address, Pods};

fn policies(rendering: &Rendering) -> Vec<&Value> {
    let all = rendering
        .objects
        .iter()
        .filter(|object| object["kind"] == "NetworkPolicy");
    all.map(|policy| &policy["spec"]).collect()
}

/// As the NetworkPolicy API has it: allowed where any rule of any policy matches.
fn allowed(rendering: &Rendering, to: To, protocol: &str, port: u16) -> bool {
    let policies = policies(rendering);
    let rules = policies
        .iter()
        .flat_map(|policy| policy["egress"].as_array().unwrap());
    let mut rules = rules.filter(|rule| {
        let mut ports = rule["ports"].as_array().unwrap().iter();
        ports.any(|one| one["port"] == port && one["protocol"] == protocol)
    });
    rules.any(|rule| {
        rule["to"]
            .as_array()
            .unwrap()
            .iter()
            .any(|peer| matches(peer, to))
    })
}

fn matches(peer: &Value, to: To) -> bool {
    match to {
        Address(address) => {
            let block = &peer["ipBlock"];
            let within = |cidr: &Value| cidr.as_str().is_some_and(|cidr| contains(cidr, address));
            let excepted = block["except"].as_array().into_iter().flatten().any(within);
            within(&block["cidr"]) && !excepted
        }
        Pods(namespace) => {
            let labels = &peer["namespaceSelector"]["matchLabels"];
            labels["kubernetes.io/metadata.name"] == namespace
        }
    }
}

fn contains(cidr: &str, address: &str) -> bool {
    let (network, bits) = cidr.split_once('/').unwrap();
    let bits: u32 = bits.parse().unwrap();
    let of = |text: &str| match text.parse().unwrap() {
        IpAddr::V4(address) => (32, u128::from(u32::from(address))),
        IpAddr::V6(address) => (128, u128::from(address)),
    };
    let ((width, network), (other, address)) = (of(network), of(address));
    let prefix = |address: u128| address.checked_shr(width - bits).unwrap_or(0);
    width == other && prefix(network) == prefix(address)
}

#[test]
fn limits_a_jobs_network_to_names_and_https() {
    let never = [
        // AWS, Google, Azure, OpenStack and most others; AWS by IPv6; Alibaba; Oracle; Azure's agent.
        "169.254.169.254",
        "169.254.170.2",
        "fd00:ec2::254",
        "fe80::a9fe:a9fe",
        "100.100.100.200",
        "192.0.0.192",
        "168.63.129.16",
        // API servers, nodes and services, as clusters usually number them.
        "10.96.0.1",
        "10.0.0.1",
        "172.20.0.1",
        "192.168.49.2",
        "100.64.0.1",
        "fd00::1",
        "127.0.0.1",
        "::1",
    ];
    for rendering in all() {
        for address in never {
            for port in [80, 443, 6443, 10250] {
                assert!(
                    !allowed(rendering, Address(address), "TCP", port),
                    "{}: {address}:{port}",
                    rendering.name
                );
            }
        }
        for (to, protocol, port, may) in [
            (Address("140.82.112.3"), "TCP", 443, true),
            (Address("2606:50c0:8000::153"), "TCP", 443, true),
            (Address("140.82.112.3"), "TCP", 80, false),
            (Address("140.82.112.3"), "TCP", 22, false),
            (Address("140.82.112.3"), "UDP", 443, false),
            (Pods("kube-system"), "UDP", 53, true),
            (Pods("kube-system"), "TCP", 53, true),
            (Pods("kube-system"), "TCP", 443, false),
            (Pods("default"), "TCP", 443, false),
            (
                Address("169.254.20.10"),
                "UDP",
                53,
                rendering.has("node-local-dns"),
            ),
            (
                Pods("registry"),
                "TCP",
                5000,
                rendering.has("cluster-registry"),
            ),
            (
                Pods("openshift-dns"),
                "UDP",
                5353,
                rendering.has("openshift"),
            ),
        ] {
            let is = allowed(rendering, to, protocol, port);
            assert_eq!(is, may, "{}: {to:?} {protocol} {port}", rendering.name);
        }
    }
}

#[test]
fn every_policy_is_for_every_job_and_nobody_comes_in() {
    for rendering in all() {
        let labels = &rendering.job()["spec"]["template"]["metadata"]["labels"];
        for policy in policies(rendering) {
            let selector = policy["podSelector"]["matchLabels"].as_object().unwrap();
            assert!(selector.iter().all(|(key, value)| &labels[key] == value));
            assert!(
                policy
                    .get("ingress")
                    .is_none_or(|rules| *rules == json!([])),
                "{policy}"
            );
        }
        let types = |policy: &&Value| policy["policyTypes"] == json!(["Ingress", "Egress"]);
        assert_eq!(policies(rendering).into_iter().filter(types).count(), 1);
    }
}

/// Bytes, or cores by the thousand.
fn quantity(value: &Value) -> u64 {
    let text = value.as_str().unwrap();
    let unit = text.trim_start_matches(|letter: char| letter.is_ascii_digit());
    let number: u64 = text[..text.len() - unit.len()].parse().unwrap();
    number
        * match unit {
            "m" => 1,
            "" => 1000,
            "Mi" => 1 << 20,
            "Gi" => 1 << 30,
            "Ti" => 1 << 40,
            _ => panic!("{text}"),
        }
}

/// As the scheduler counts: what runs together is added up, and the staging before it is less than that.
fn total(pod: &Value, side: &str, resource: &str) -> u64 {
    let together = containers(pod)
        .into_iter()
        .filter(|one| !one["name"].as_str().unwrap().starts_with("stage-"));
    let of = |one: &Value| one["resources"][side].get(resource).map_or(0, quantity);
    together.map(of).sum()
}

#[test]
fn jobs_fit_into_the_limit_range_and_ten_into_the_quota() {
    let mut seen = 0;
    for rendering in all()
        .iter()
        .filter(|one| one.has("limit-range") && one.has("resource-quota"))
    {
        let pod = rendering.pod();
        let limits = &rendering.of_kind("LimitRange")["spec"]["limits"];
        for resource in ["memory", "ephemeral-storage"] {
            for container in containers(pod) {
                let limit = quantity(&container["resources"]["limits"][resource]);
                assert!(
                    limit <= quantity(&limits[0]["max"][resource]),
                    "{}",
                    rendering.name
                );
            }
            let whole = total(pod, "limits", resource);
            assert!(
                whole <= quantity(&limits[1]["max"][resource]),
                "{}: {resource}",
                rendering.name
            );
        }
        let hard = rendering.of_kind("ResourceQuota")["spec"]["hard"]
            .as_object()
            .unwrap();
        let jobs = if rendering.name.starts_with("example") {
            7
        } else {
            10
        };
        for (key, value) in hard {
            let Some((side @ ("requests" | "limits"), resource)) = key.split_once('.') else {
                continue;
            };
            if resource != "storage" {
                let needed = jobs * total(pod, side, resource);
                assert!(
                    needed <= quantity(value),
                    "{}: {key} {needed}",
                    rendering.name
                );
            }
        }
        seen += 1;
    }
    assert!(seen > 8);
}

#[test]
fn a_priority_is_never_somebody_elses_eviction() {
    let with: Vec<_> = all()
        .iter()
        .filter(|one| one.has("priority-class"))
        .collect();
    assert!(!with.is_empty());
    for rendering in with {
        let class = rendering.of_kind("PriorityClass");
        assert_eq!(class["preemptionPolicy"], "Never");
        assert_eq!(
            rendering.pod()["priorityClassName"],
            class["metadata"]["name"]
        );
    }
}

/// As the example for production sets them, on top of the components.
#[test]
fn an_overlay_sets_what_components_have_as_parameters() {
    let name = "example production";
    let production = all().iter().find(|one| one.name == name).unwrap();
    let labels = &production.job()["metadata"]["labels"];
    assert_eq!(labels["kueue.x-k8s.io/queue-name"], "builds");
    for (volume, size) in [("workspace", "50Gi"), ("builder-storage", "100Gi")] {
        let mut volumes = production.pod()["volumes"].as_array().unwrap().iter();
        let found = volumes.find(|one| one["name"] == volume).unwrap();
        let claim = &found["ephemeral"]["volumeClaimTemplate"]["spec"];
        assert_eq!(claim["storageClassName"], "fast", "{volume}");
        assert_eq!(claim["resources"]["requests"]["storage"], size, "{volume}");
        assert_eq!(claim["accessModes"], json!(["ReadWriteOnce"]), "{volume}");
    }
    for container in containers(production.pod()) {
        let image = container["image"].as_str().unwrap();
        assert!(image.starts_with("registry.example/ci/"), "{image}");
    }
}

#[test]
fn the_operators_profile_is_the_projects() {
    let directory = root().join("k8s/components/security-profiles-operator");
    let made = Command::new("jq")
        .args(["--from-file", "profile.jq", "../../seccomp/buildah.json"])
        .current_dir(&directory)
        .output()
        .unwrap();
    let kept = std::fs::read(directory.join("seccomp-profile.json")).unwrap();
    let of = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
    assert_eq!(of(&made.stdout), of(&kept));
}

#[test]
fn openshifts_constraints_allow_what_every_pod_states() {
    for rendering in all().iter().filter(|one| one.has("openshift")) {
        let constraints = rendering.of_kind("SecurityContextConstraints");
        let within = |list: &str, value: &str| {
            constraints[list]
                .as_array()
                .unwrap()
                .contains(&json!(value))
        };
        for container in containers(rendering.pod()) {
            let context = &container["securityContext"];
            let added = context["capabilities"]["add"]
                .as_array()
                .into_iter()
                .flatten();
            assert!(
                added
                    .clone()
                    .all(|one| within("allowedCapabilities", one.as_str().unwrap()))
            );
            let profile = match context["seccompProfile"]["localhostProfile"].as_str() {
                Some(profile) => format!("localhost/{profile}"),
                None => "runtime/default".to_owned(),
            };
            assert!(within("seccompProfiles", &profile), "{profile}");
            let user = context["runAsUser"].as_u64().unwrap();
            assert!(user <= constraints["runAsUser"]["uidRangeMax"].as_u64().unwrap());
        }
        for volume in rendering.pod()["volumes"].as_array().unwrap() {
            let mut sources = volume
                .as_object()
                .unwrap()
                .keys()
                .filter(|key| *key != "name");
            assert!(sources.all(|source| within("volumes", source)), "{volume}");
        }
        let group = &rendering.pod()["securityContext"]["fsGroup"];
        assert_eq!(
            &constraints["fsGroup"]["ranges"],
            &json!([{"min": group, "max": group}])
        );
    }
}

/// The only hostPath of the project is in k8s/seccomp, and no manifest names an image of anybody else.
#[test]
fn no_file_mounts_the_node_and_every_component_is_documented() {
    let found = Command::new("grep")
        .args(["--recursive", "--files-with-matches", "hostPath:", "k8s"])
        .current_dir(root())
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(found.stdout).unwrap(),
        "k8s/seccomp/daemon-set.yaml\n"
    );
    let page = std::fs::read_to_string(root().join("docs/kubernetes.md")).unwrap();
    for component in components() {
        assert!(
            page.contains(&format!("`{component}`")),
            "docs/kubernetes.md has no {component}"
        );
    }
    for rendering in plain() {
        for container in containers(rendering.pod()) {
            let image = container["image"].as_str().unwrap();
            assert!(image.starts_with("ci-cd-agents/"), "{image}");
        }
    }
}
