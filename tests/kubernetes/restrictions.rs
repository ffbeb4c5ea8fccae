//! The restrictions that a Job of this project sets: all fields of this table, with the values that it allows.
//!
//! A field that the table does not have fails the test, so that a new field gets a review.

use serde_json::{Value, json};

use support::manifests::containers;

use crate::manifests::label;

/// Containers by name, and what each mounts: volume, path, read-only.
type Mounts = &'static [(&'static str, &'static str, bool)];

const MOUNTED: &str = "/run/secrets/mounted";
const STAGED: &str = "/run/secrets/supervisor";

const RUNNER: Mounts = &[
    ("workspace", "/workspace", false),
    ("runner-private", "/run/supervisor", false),
    ("runner-secrets", STAGED, false),
    ("runner-tmp", "/tmp", false),
    ("runner-var-tmp", "/var/tmp", false),
];
const BUILDER: Mounts = &[
    ("workspace", "/workspace", false),
    ("builder-socket", "/run/builder", false),
    ("builder-storage", "/var/lib/builder", false),
    ("builder-private", "/run/supervisor", false),
    ("builder-secrets", STAGED, true),
    ("builder-tmp", "/tmp", false),
    ("builder-var-tmp", "/var/tmp", false),
];

const IN_MEMORY: [&str; 5] = [
    "runner-private",
    "runner-secrets",
    "builder-private",
    "builder-secrets",
    "builder-socket",
];

const CONTAINER_FIELDS: [&str; 9] = [
    "name",
    "image",
    "args",
    "env",
    "resources",
    "securityContext",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "volumeMounts",
];
/// What is neither in the table nor checked further.
const POD_FIELDS: [&str; 7] = [
    "initContainers",
    "containers",
    "volumes",
    "terminationGracePeriodSeconds",
    "priorityClassName",
    "nodeSelector",
    "tolerations",
];

/// Which Job, by its own labels, and what was added to it.
struct Kind<'a> {
    github: bool,
    single: bool,
    userns: bool,
    components: &'a [String],
}

impl Kind<'_> {
    fn has(&self, component: &str) -> bool {
        self.components.iter().any(|one| one == component)
    }

    /// The container in which Buildah runs.
    fn builder(&self) -> &'static str {
        if self.single { "runner" } else { "builder" }
    }

    fn names(&self) -> Vec<&'static str> {
        let mut names = vec!["stage-runner-secrets", "stage-registry-secrets"];
        if !self.single {
            names.push("builder");
        }
        names.push("runner");
        names
    }

    /// The whole securityContext of a container.
    fn security_context(&self, name: &str) -> Value {
        let mut context = json!({
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "privileged": false,
            "procMount": "Default",
            "readOnlyRootFilesystem": true,
            "runAsGroup": 1000,
            "runAsNonRoot": true,
            "runAsUser": 1000,
            "seccompProfile": {"type": "RuntimeDefault"},
        });
        let builds = name == self.builder();
        // Whoever stages for a root stages as root.
        if self.userns && (builds || (self.single && name.starts_with("stage-"))) {
            context["runAsUser"] = json!(0);
            context["runAsGroup"] = json!(0);
            context["runAsNonRoot"] = json!(false);
        }
        if self.has("apparmor") {
            context["appArmorProfile"] = json!({"type": "RuntimeDefault"});
        }
        if builds {
            self.relax(&mut context);
        }
        context
    }

    /// What Buildah needs.
    fn relax(&self, context: &mut Value) {
        context["readOnlyRootFilesystem"] = json!(false);
        let profile = if self.has("security-profiles-operator") {
            "operator/buildah.json"
        } else {
            "buildah.json"
        };
        context["seccompProfile"] = json!({"type": "Localhost", "localhostProfile": profile});
        if self.userns {
            context["capabilities"]["add"] = json!(["SETUID", "SETGID", "SETFCAP"]);
        } else {
            context["capabilities"]["add"] = json!(["SETUID", "SETGID"]);
            context["allowPrivilegeEscalation"] = json!(true);
        }
        if self.has("apparmor") {
            context["appArmorProfile"] =
                json!({"type": "Localhost", "localhostProfile": "ci-cd-agents-builder"});
        }
        if self.has("selinux") {
            context["seLinuxOptions"] = json!({"type": "container_engine_t"});
        }
    }

    fn mounts(&self, name: &str) -> Vec<(&'static str, &'static str, bool)> {
        let registry = if self.single {
            "runner-secrets"
        } else {
            "builder-secrets"
        };
        match name {
            "stage-runner-secrets" => {
                vec![
                    ("mounted-runner-secrets", MOUNTED, true),
                    ("runner-secrets", STAGED, false),
                ]
            }
            "stage-registry-secrets" => {
                vec![
                    ("mounted-registry-secrets", MOUNTED, true),
                    (registry, STAGED, false),
                ]
            }
            "builder" => BUILDER.to_vec(),
            _ if self.single => RUNNER.to_vec(),
            _ => [RUNNER, &[("builder-socket", "/run/builder", true)]].concat(),
        }
    }

    fn volumes(&self) -> Vec<&'static str> {
        let names = self.names();
        let mut all: Vec<_> = names
            .iter()
            .flat_map(|name| self.mounts(name))
            .map(|(volume, ..)| volume)
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// What is wrong with a Job to which these components were added.
pub(crate) fn faults(job: &Value, components: &[String]) -> Vec<String> {
    let kind = Kind {
        github: label(job, "flavor") == "github",
        single: label(job, "shape") == "single",
        userns: label(job, "profile") == "userns",
        components,
    };
    let mut found = Vec::new();
    let spec = &job["spec"];
    let pod = &spec["template"]["spec"];
    check_job(spec, &kind, &mut found);
    check_pod(pod, &kind, &mut found);
    check_volumes(pod, &kind, &mut found);
    let all = containers(pod);
    let names: Vec<&str> = all.iter().map(|one| text(&one["name"])).collect();
    expect(
        "the containers",
        &json!(names),
        &json!(kind.names()),
        &mut found,
    );
    for container in all {
        check_container(container, &kind, &mut found);
    }
    check_grace(pod, &mut found);
    found
}

fn expect(what: &str, is: &Value, should: &Value, found: &mut Vec<String>) {
    if is != should {
        found.push(format!("{what} is {is}, not {should}"));
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn fields(what: &str, object: &Value, known: impl Fn(&str) -> bool, found: &mut Vec<String>) {
    for field in object.as_object().into_iter().flatten() {
        if !known(field.0) {
            found.push(format!("{what} has the field {}", field.0));
        }
    }
}

/// A lost node ends the Job. A runner of GitHub's that got no session there is tried again.
fn failure_rules(kind: &Kind) -> Vec<Value> {
    let mut rules = vec![json!({
        "action": "FailJob",
        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
    })];
    if kind.github {
        rules.push(json!({
            "action": "Ignore",
            "onExitCodes": {"containerName": "runner", "operator": "In", "values": [69]},
        }));
    }
    rules
}

/// A job is tried once, ends in time, goes away, and tells a lost node from a failure.
fn check_job(spec: &Value, kind: &Kind, found: &mut Vec<String>) {
    let suspended = if kind.has("kueue") {
        json!(true)
    } else {
        Value::Null
    };
    for (field, should) in [
        ("backoffLimit", json!(0)),
        ("completions", json!(1)),
        ("parallelism", json!(1)),
        ("completionMode", json!("NonIndexed")),
        ("podReplacementPolicy", json!("Failed")),
        ("suspend", suspended),
        ("podFailurePolicy", json!({"rules": failure_rules(kind)})),
    ] {
        expect(field, &spec[field], &should, found);
    }
    for field in ["activeDeadlineSeconds", "ttlSecondsAfterFinished"] {
        if !spec[field].is_u64() {
            found.push(format!("{field} is missing"));
        }
    }
}

/// The pod shares nothing with the node and has no token.
fn check_pod(pod: &Value, kind: &Kind, found: &mut Vec<String>) {
    let host_users = if kind.userns {
        json!(false)
    } else {
        Value::Null
    };
    let table = [
        ("automountServiceAccountToken", json!(false)),
        ("enableServiceLinks", json!(false)),
        ("shareProcessNamespace", json!(false)),
        ("hostNetwork", json!(false)),
        ("hostPID", json!(false)),
        ("hostIPC", json!(false)),
        ("hostUsers", host_users),
        ("restartPolicy", json!("Never")),
        ("serviceAccountName", json!("runner")),
        (
            "securityContext",
            json!({
                "runAsNonRoot": true,
                "runAsUser": 1000,
                "runAsGroup": 1000,
                "fsGroup": 1000,
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": {"type": "RuntimeDefault"},
            }),
        ),
    ];
    for (field, should) in &table {
        expect(field, &pod[field], should, found);
    }
    let known =
        |field: &str| POD_FIELDS.contains(&field) || table.iter().any(|(name, _)| *name == field);
    fields("the pod", pod, known, found);
}

fn check_container(container: &Value, kind: &Kind, found: &mut Vec<String>) {
    let name = text(&container["name"]);
    let what = |field: &str| format!("{name}: {field}");
    let sidecar = name == "builder";
    let known = |field: &str| {
        CONTAINER_FIELDS.contains(&field)
            || (sidecar && ["restartPolicy", "startupProbe"].contains(&field))
    };
    fields(name, container, known, found);
    let restart = if sidecar {
        json!("Always")
    } else {
        Value::Null
    };
    let mut mounts = kind.mounts(name);
    mounts.sort_unstable();
    for (field, is, should) in [
        ("restartPolicy", &container["restartPolicy"], restart),
        (
            "securityContext",
            &container["securityContext"],
            kind.security_context(name),
        ),
        (
            "terminationMessagePath",
            &container["terminationMessagePath"],
            json!("/dev/termination-log"),
        ),
        ("volumeMounts", &mounted(container, found), json!(mounts)),
    ] {
        expect(&what(field), is, &should, found);
    }
    for resource in ["memory", "ephemeral-storage"] {
        for side in ["requests", "limits"] {
            if !container["resources"][side][resource].is_string() {
                found.push(what(&format!("no {side}.{resource}")));
            }
        }
    }
    for variable in container["env"].as_array().into_iter().flatten() {
        fields(
            &what("env"),
            variable,
            |field| ["name", "value"].contains(&field),
            found,
        );
    }
}

fn mounted(container: &Value, found: &mut Vec<String>) -> Value {
    let mounts = container["volumeMounts"].as_array().into_iter().flatten();
    let mut all: Vec<_> = mounts
        .map(|mount| {
            let known = |field: &str| ["name", "mountPath", "readOnly"].contains(&field);
            fields(text(&container["name"]), mount, known, found);
            let read_only = mount["readOnly"] == true;
            (text(&mount["name"]), text(&mount["mountPath"]), read_only)
        })
        .collect();
    all.sort_unstable();
    json!(all)
}

/// Volumes end with the pod and are bounded; what is secret lies in memory.
fn check_volumes(pod: &Value, kind: &Kind, found: &mut Vec<String>) {
    let all = pod["volumes"].as_array().unwrap();
    let mut names: Vec<&str> = all.iter().map(|volume| text(&volume["name"])).collect();
    names.sort_unstable();
    expect("the volumes", &json!(names), &json!(kind.volumes()), found);
    for volume in all {
        let name = text(&volume["name"]);
        let source = if name.starts_with("mounted-") {
            "secret"
        } else if kind.has("persistent-volume") && ["workspace", "builder-storage"].contains(&name)
        {
            "ephemeral"
        } else {
            "emptyDir"
        };
        fields(
            name,
            volume,
            |field| ["name", source].contains(&field),
            found,
        );
        check_source(name, source, &volume[source], found);
    }
}

fn check_source(name: &str, source: &str, volume: &Value, found: &mut Vec<String>) {
    let memory = if IN_MEMORY.contains(&name) {
        json!("Memory")
    } else {
        Value::Null
    };
    match source {
        "secret" => {
            expect(name, &volume["defaultMode"], &json!(0o440), found);
            fields(
                name,
                volume,
                |field| ["secretName", "optional", "defaultMode"].contains(&field),
                found,
            );
        }
        "emptyDir" => {
            expect(name, &volume["medium"], &memory, found);
            if !volume["sizeLimit"].is_string() {
                found.push(format!("{name} has no sizeLimit"));
            }
        }
        _ => {
            let claim = &volume["volumeClaimTemplate"]["spec"];
            expect(
                name,
                &claim["accessModes"],
                &json!(["ReadWriteOnce"]),
                found,
            );
            if !claim["resources"]["requests"]["storage"].is_string() {
                found.push(format!("{name} has no size"));
            }
        }
    }
}

/// What PID 1 of each container takes to end is within the pod's time to end; sidecars come after the others.
fn check_grace(pod: &Value, found: &mut Vec<String>) {
    let whole = pod["terminationGracePeriodSeconds"].as_u64().unwrap_or(30);
    let mut used = 0;
    for container in containers(pod) {
        let name = text(&container["name"]);
        if name.starts_with("stage-") {
            continue;
        }
        let seconds = |variable: &str| seconds(container, variable);
        let period = seconds("SUPERVISOR_TERMINATION_GRACE_PERIOD");
        let parts = seconds("SUPERVISOR_GRACE") + seconds("SUPERVISOR_WIPE__RESERVE");
        if parts > period || period == 0 {
            found.push(format!("{name} needs {parts} s of {period} s to end"));
        }
        used += period;
    }
    // The kubelet has its own share: a container's end is seen within a second or two, twice.
    if used + 10 > whole {
        found.push(format!("the containers need {used} s to end, of {whole} s"));
    }
}

fn seconds(container: &Value, name: &str) -> u64 {
    let mut variables = container["env"].as_array().into_iter().flatten();
    let found = variables.find(|variable| variable["name"] == name);
    let text = found.map_or("", |variable| text(&variable["value"]));
    text.trim_end_matches('s').parse().unwrap_or(0)
}
