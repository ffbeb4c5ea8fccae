//! Jobs on the kubelet: they build, complete, leave a report and no volume; a drained node leaves its own reason.

use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use serde_json::{Value, json};
use test_support::eventually_or;

use crate::kubectl::{NODE, Namespace, get, kubectl, node_has_the_profile, setting};
use crate::overlay::{apply, names, objects};

/// Builds an image from nothing, runs a program in it, and leaves a mess.
const JOB: &str = r#"
    echo "uid_map: $(tr -s ' ' </proc/self/uid_map)"
    echo "status: $(grep -E '^(Uid|CapBnd|CapEff|NoNewPrivs|Seccomp):' /proc/self/status | tr -s '\t\n' ' ')"
    [ "$TOKEN" = a-token-of-the-runners-own ] || exit 41
    [ -z "$(ls -A /run/secrets/supervisor)" ] || exit 42
    [ ! -e /run/secrets/mounted ] && [ ! -e /var/run/secrets/kubernetes.io ] || exit 43
    mkdir -p context && cp /usr/local/bin/supervisor context/s && echo mine >context/private && chmod 0600 context/private || exit 44
    printf 'FROM scratch\nCOPY s /s\nCOPY private /private\nRUN ["/s", "--version"]\n' >context/Containerfile
    buildah build --tag localhost/made context || exit 45
    mkdir -m 0 closed; setsid sleep 86376 &
"#;

/// A job that runs until SIGTERM ends it.
const LONG: &str = "echo it runs; exec sleep 86375";

fn job(namespace: &Namespace) -> Value {
    namespace.get(&["job", "runner"])
}

fn condition(job: &Value, kind: &str) -> Option<Value> {
    let mut all = job["status"]["conditions"].as_array()?.iter();
    all.find(|one| one["type"] == kind && one["status"] == "True")
        .cloned()
}

/// The Job's end: the condition Complete or Failed.
fn ended(namespace: &Namespace) -> Value {
    let ask = || {
        let job = job(namespace);
        condition(&job, "Complete").or_else(|| condition(&job, "Failed"))
    };
    eventually_or("the Job's end", ask, || namespace.describe())
}

fn pod(namespace: &Namespace) -> Value {
    namespace.get(&["pods"])["items"][0].clone()
}

/// What a container's termination message says.
fn report(pod: &Value, list: &str, container: &str) -> Value {
    let mut all = pod["status"][list].as_array().unwrap().iter();
    let status = all.find(|one| one["name"] == container).unwrap();
    let message = status["state"]["terminated"]["message"].as_str();
    let message = message.unwrap_or_else(|| panic!("no message: {status}"));
    serde_json::from_str(message).unwrap_or_else(|error| panic!("{error}: {message}"))
}

/// Volumes for claims: those of the cluster's own class, or directories of this machine, a class for each test.
struct Storage {
    class: Option<String>,
    volumes: Vec<String>,
}

impl Storage {
    fn new(name: &str) -> Self {
        let classes = get(&["storageclasses"]);
        let default = "storageclass.kubernetes.io/is-default-class";
        let mut classes = classes["items"].as_array().unwrap().iter();
        if classes.any(|class| class["metadata"]["annotations"][default] == "true") {
            return Self {
                class: None,
                volumes: Vec::new(),
            };
        }
        let class = format!("test-{name}");
        let places = setting("CLUSTER_VOLUMES", "/var/tmp/ci-cd-agents-volumes");
        let node =
            get(&["nodes"])["items"][0]["metadata"]["labels"]["kubernetes.io/hostname"].clone();
        let volumes = ["a", "b"].map(|letter| format!("{class}-{letter}"));
        for volume in &volumes {
            let path = format!("{places}/{volume}");
            let _ = std::fs::remove_dir_all(&path);
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(&path)
                .unwrap();
            let object = json!({
                "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": volume},
                "spec": {
                    "capacity": {"storage": "64Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": class,
                    "persistentVolumeReclaimPolicy": "Retain", "local": {"path": path},
                    "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                        {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]},
                    ]}]}},
                },
            });
            kubectl(
                &["delete", "persistentvolume", volume, "--ignore-not-found"],
                "",
            );
            kubectl(&["create", "--filename=-"], &object.to_string());
        }
        Self {
            class: Some(class),
            volumes: volumes.into(),
        }
    }

    /// Names the class in every claim of a Job.
    fn give(&self, objects: &mut [Value]) {
        let Some(class) = &self.class else { return };
        let job = objects
            .iter_mut()
            .find(|object| object["kind"] == "Job")
            .unwrap();
        for volume in job["spec"]["template"]["spec"]["volumes"]
            .as_array_mut()
            .unwrap()
        {
            if let Some(claim) = volume.pointer_mut("/ephemeral/volumeClaimTemplate/spec") {
                claim["storageClassName"] = json!(class);
            }
        }
    }

    /// Nothing lies in the volumes but what a file system has of its own.
    fn is_empty(&self) -> bool {
        let places = setting("CLUSTER_VOLUMES", "/var/tmp/ci-cd-agents-volumes");
        let count = |volume: &String| {
            std::fs::read_dir(Path::new(&places).join(volume))
                .unwrap()
                .count()
        };
        self.volumes.iter().all(|volume| count(volume) == 0)
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        for volume in &self.volumes {
            let _ = crate::kubectl::attempt(
                &[
                    "delete",
                    "persistentvolume",
                    volume,
                    "--ignore-not-found",
                    "--wait=false",
                ],
                "",
            );
        }
    }
}

fn completes(overlay: &str) {
    let _node = NODE
        .read()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    node_has_the_profile();
    let namespace = Namespace::new(&format!("run-{overlay}"));
    let storage = Storage::new(overlay);
    let components = [
        "persistent-volume",
        "limit-range",
        "resource-quota",
        "priority-class",
    ];
    let mut objects = objects(
        overlay,
        &components.map(str::to_owned),
        &namespace.0,
        Some(JOB),
    );
    storage.give(&mut objects);
    apply(&namespace, &objects);
    let end = ended(&namespace);
    assert_eq!(end["type"], "Complete", "{end} {}", namespace.describe());

    let log = namespace.kubectl(&["logs", "job/runner"], "");
    let said = |key: &str| {
        log.lines()
            .find_map(|line| line.strip_prefix(key))
            .unwrap()
            .trim()
    };
    let own = overlay.contains("userns");
    assert_eq!(said("uid_map: ").starts_with("0 0 "), !own, "{log}");
    if overlay.contains("split") {
        for text in [
            "Uid: 1000 ",
            "CapBnd: 0000000000000000",
            "NoNewPrivs: 1",
            "Seccomp: 2",
        ] {
            assert!(said("status: ").contains(text), "{text}: {log}");
        }
    }
    let pod = pod(&namespace);
    let report = self::report(&pod, "containerStatuses", "runner");
    assert_eq!(report["reason"], "completed", "{report}");
    assert_eq!(report["wiped"]["leftover_count"], 0, "{report}");
    if overlay.contains("split") {
        let report = self::report(&pod, "initContainerStatuses", "builder");
        assert_eq!(report["reason"], "completed", "{report}");
    }
    assert!(storage.is_empty(), "{overlay}");
    vanishes(&namespace, if overlay.contains("split") { 2 } else { 1 });
}

/// The claims are there as long as the pod, and go with the Job when its time is over.
fn vanishes(namespace: &Namespace, claims: usize) {
    let count = || {
        namespace.get(&["persistentvolumeclaims"])["items"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(count(), claims);
    let now = r#"{"spec":{"ttlSecondsAfterFinished":0}}"#;
    namespace.kubectl(
        &["patch", "job", "runner", "--type=merge", "--patch", now],
        "",
    );
    let gone = || {
        let left = namespace.get(&["jobs,pods,persistentvolumeclaims"]);
        (left["items"] == json!([])).then_some(())
    };
    eventually_or("the Job and its claims to be gone", gone, || {
        namespace.describe()
    });
}

/// One after the other: a small machine has one node for them all.
#[test]
fn a_job_of_every_overlay_completes_and_its_volumes_vanish() {
    for overlay in names() {
        completes(&overlay);
    }
}

#[test]
fn a_drained_node_leaves_its_own_reason() {
    let _node = NODE
        .write()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    node_has_the_profile();
    let namespace = Namespace::new("drained");
    apply(
        &namespace,
        &objects("github-split-userns", &[], &namespace.0, Some(LONG)),
    );
    let runs = || {
        let log = namespace.kubectl(&["logs", "job/runner", "--ignore-errors"], "");
        log.contains("it runs").then_some(())
    };
    eventually_or("the job", runs, || namespace.describe());
    let name = pod(&namespace)["spec"]["nodeName"]
        .as_str()
        .unwrap()
        .to_owned();
    let selector = "--pod-selector=ci-cd-agents/flavor=github";
    let drain = [
        "drain",
        &name,
        selector,
        "--ignore-daemonsets",
        "--delete-emptydir-data",
        "--force",
    ];
    let cordoned = Cordoned(name.clone());
    kubectl(&drain, "");
    let end = ended(&namespace);
    drop(cordoned);
    assert_eq!(
        (&end["type"], &end["reason"]),
        (&json!("Failed"), &json!("PodFailurePolicy")),
        "{end}"
    );
    assert!(
        end["message"]
            .as_str()
            .unwrap()
            .contains("DisruptionTarget"),
        "{end}"
    );
    assert_eq!(job(&namespace)["status"]["failed"], 1);
}

/// The node takes pods again, whatever happens.
struct Cordoned(String);

impl Drop for Cordoned {
    fn drop(&mut self) {
        let _ = crate::kubectl::attempt(&["uncordon", &self.0], "");
    }
}

#[test]
fn a_failed_job_and_a_missing_secret_are_told_apart_from_that() {
    let _node = NODE
        .read()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    node_has_the_profile();
    let namespace = Namespace::new("failed");
    apply(
        &namespace,
        &objects(
            "circleci-single-rootless",
            &[],
            &namespace.0,
            Some("exit 7"),
        ),
    );
    let end = ended(&namespace);
    assert_eq!(
        (&end["type"], &end["reason"]),
        (&json!("Failed"), &json!("BackoffLimitExceeded")),
        "{end}"
    );
    let pod = pod(&namespace);
    assert_eq!(
        pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"],
        7
    );
    let report = report(&pod, "containerStatuses", "runner");
    assert_eq!(
        (&report["reason"], &report["exit_code"]),
        (&json!("failed"), &json!(7)),
        "{report}"
    );

    namespace.kubectl(&["delete", "job", "runner", "--wait"], "");
    namespace.kubectl(&["delete", "secret", "circleci"], "");
    namespace.kubectl(
        &[
            "create",
            "secret",
            "generic",
            "circleci",
            "--from-literal=other=x",
        ],
        "",
    );
    let again = objects("circleci-single-rootless", &[], &namespace.0, Some("true"));
    kubectl(&["apply", "--filename=-"], &crate::overlay::list(&again));
    let end = ended(&namespace);
    assert_eq!(end["reason"], "BackoffLimitExceeded", "{end}");
    let status = &self::pod(&namespace)["status"]["initContainerStatuses"][0];
    let terminated = &status["state"]["terminated"];
    assert_eq!(terminated["exitCode"], 77, "{status}");
    let message = terminated["message"].as_str().unwrap();
    assert!(
        message.contains("resource_class_token is missing"),
        "{message}"
    );
}
