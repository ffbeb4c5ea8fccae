//! Runs a pod as the kubelet does: init containers one after the other, sidecars among them, and at last the others.

use serde_json::{Value, json};
use support::{builder_image, image_with, podman, runner_image, single_image, start_image};
use test_support::eventually;

use crate::rights::Rights;
use crate::volumes::{Secrets, Volumes};

/// Who the pod's root is on this machine, where it has a user namespace of its own.
const ROOT: u32 = 100_000;

/// A pod whose network is there and whose containers have not started yet.
pub(crate) struct Pod {
    spec: Value,
    name: String,
    volumes: Volumes,
    sidecars: Vec<String>,
}

/// How a container ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) said: String,
}

impl Pod {
    pub(crate) fn new(spec: &Value, secrets: &Secrets) -> Self {
        let own = spec["hostUsers"] == false;
        let volumes = Volumes::make(spec, if own { ROOT } else { 0 }, secrets);
        let unique = volumes
            .scratch()
            .file_name()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        let pod = Self {
            spec: spec.clone(),
            name: format!("test-{}", unique.trim_start_matches('.').to_lowercase()),
            volumes,
            sidecars: Vec::new(),
        };
        let network = pod.network();
        let mut flags = vec![
            "--name",
            &network,
            "--entrypoint=sleep",
            "--cap-drop=all",
            "--read-only",
        ];
        let maps = [
            format!("--uidmap=0:{ROOT}:65536"),
            format!("--gidmap=0:{ROOT}:65536"),
        ];
        if own {
            flags.extend(maps.iter().map(String::as_str));
        }
        let output = start_image(&runner_image(), &flags, &["infinity"]);
        assert!(output.status.success(), "{output:?}");
        pod
    }

    /// The container that holds the pod's namespaces.
    pub(crate) fn network(&self) -> String {
        format!("{}-network", self.name)
    }

    pub(crate) fn volumes(&self) -> &Volumes {
        &self.volumes
    }

    pub(crate) fn rights(&self, name: &str) -> Rights {
        let all = support::manifests::containers(&self.spec);
        let container = all.into_iter().find(|one| one["name"] == name).unwrap();
        Rights::of(&self.spec, container, self.volumes.scratch())
    }

    /// Runs the init containers in their order. A sidecar stays, and the next waits for its start-up probe.
    pub(crate) fn init(&mut self) -> Result<(), Ended> {
        for container in self.spec["initContainers"].as_array().unwrap().clone() {
            if container["restartPolicy"] == "Always" {
                self.start_sidecar(&container);
                continue;
            }
            let ended = self.run(&container);
            if ended.code != 0 {
                return Err(ended);
            }
        }
        Ok(())
    }

    /// Runs the pod's one container to its end.
    pub(crate) fn main(&self) -> Ended {
        let containers = self.spec["containers"].as_array().unwrap();
        assert_eq!(containers.len(), 1);
        self.run(&containers[0])
    }

    /// Ends the sidecars, as the kubelet does when the others are gone.
    pub(crate) fn end(&mut self) -> Vec<Ended> {
        let seconds = self.spec["terminationGracePeriodSeconds"].to_string();
        let names = std::mem::take(&mut self.sidecars);
        let ends = names.iter().map(|name| {
            let stopped = podman(&["stop", "--time", &seconds, name]);
            assert!(stopped.status.success(), "{stopped:?}");
            let code = podman(&["inspect", "--format", "{{.State.ExitCode}}", name]);
            let logs = podman(&["logs", name]);
            let _ = podman(&["rm", "--force", "--time", "0", name]);
            Ended {
                code: String::from_utf8_lossy(&code.stdout)
                    .trim()
                    .parse()
                    .unwrap(),
                said: String::from_utf8_lossy(&[logs.stdout, logs.stderr].concat()).into_owned(),
            }
        });
        ends.collect()
    }

    /// /proc/PID/status of a sidecar's PID 1.
    pub(crate) fn status(&self, container: &str) -> String {
        let name = format!("{}-{container}", self.name);
        let pid = podman(&["inspect", "--format", "{{.State.Pid}}", &name]);
        let pid = String::from_utf8_lossy(&pid.stdout).trim().to_owned();
        std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap()
    }

    fn run(&self, container: &Value) -> Ended {
        let (image, flags, arguments) = self.command(container);
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let output = image_with(&["run", "--rm"], &image, &flags, &arguments);
        Ended {
            code: output.status.code().unwrap_or(-1),
            said: String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
        }
    }

    fn start_sidecar(&mut self, container: &Value) {
        let (image, flags, arguments) = self.command(container);
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let output = image_with(&["run", "--detach"], &image, &flags, &arguments);
        assert!(output.status.success(), "{output:?}");
        let name = format!("{}-{}", self.name, container["name"].as_str().unwrap());
        self.sidecars.push(name.clone());
        let probe = words(&container["startupProbe"]["exec"]["command"]);
        eventually("the start-up probe", || {
            let mut command = vec!["exec", &name];
            command.extend(probe.iter().map(String::as_str));
            podman(&command).status.success().then_some(())
        });
    }

    /// Image, flags and arguments for podman.
    fn command(&self, container: &Value) -> (String, Vec<String>, Vec<String>) {
        let name = container["name"].as_str().unwrap();
        let network = self.network();
        let mut flags = vec![
            format!("--name={}-{name}", self.name),
            format!("--network=container:{network}"),
            format!("--ipc=container:{network}"),
        ];
        if self.spec["hostUsers"] == false {
            flags.push(format!("--userns=container:{network}"));
        }
        flags.extend(self.rights(name).flags().iter().cloned());
        flags.extend(self.volumes.flags(container));
        for variable in container["env"].as_array().into_iter().flatten() {
            let text = |key: &str| variable[key].as_str().unwrap();
            flags.push(format!("--env={}={}", text("name"), text("value")));
        }
        (image(container), flags, words(&container["args"]))
    }
}

/// The images of this machine in place of the manifests'.
fn image(container: &Value) -> String {
    match container["image"].as_str().unwrap() {
        "ci-cd-agents/builder" => builder_image(),
        name if name.starts_with("ci-cd-agents/single-") => single_image(),
        name if name.starts_with("ci-cd-agents/runner") => runner_image(),
        other => panic!("no image {other} here"),
    }
}

fn words(value: &Value) -> Vec<String> {
    let words = value.as_array().into_iter().flatten();
    words
        .map(|word| word.as_str().unwrap().to_owned())
        .collect()
}

/// The pod of an overlay, whose job is a script in place of the vendor's.
pub(crate) fn with_script(overlay: &str, script: &str) -> Value {
    let yaml = support::manifests::kustomize(&format!("k8s/overlays/{overlay}"));
    let objects = support::manifests::parse(&[yaml]).remove(0);
    let job = objects
        .into_iter()
        .find(|object| object["kind"] == "Job")
        .unwrap();
    let mut pod = job["spec"]["template"]["spec"].clone();
    let insecure =
        json!({"name": "SUPERVISOR_STORAGE__INSECURE_REGISTRIES", "value": "127.0.0.1:5000"});
    for list in ["initContainers", "containers"] {
        for container in pod[list].as_array_mut().unwrap() {
            if let Some(variables) = container["env"].as_array_mut() {
                variables.retain(|variable| variable["name"] != "SUPERVISOR_FLAVOR");
                variables.push(insecure.clone());
            }
        }
    }
    let runner = &mut pod["containers"][0];
    runner["args"] = json!(["run", "--flavor=exec", "--", "bash", "-c", script]);
    let token = if overlay.starts_with("github") {
        "jitconfig"
    } else {
        "resource_class_token"
    };
    let secret = json!({"name": "SUPERVISOR_SECRETS__ENVIRONMENT", "value": format!("{{TOKEN=\"{token}\"}}")});
    runner["env"].as_array_mut().unwrap().push(secret);
    pod
}

impl Drop for Pod {
    fn drop(&mut self) {
        let filter = format!("name={}", self.name);
        let list = podman(&["ps", "--all", "--format={{.Names}}", "--filter", &filter]);
        let list = String::from_utf8_lossy(&list.stdout).into_owned();
        let network = self.network();
        let others = list.split_whitespace().filter(|name| *name != network);
        // Last, because podman removes nothing that another container depends on.
        for name in others.chain([network.as_str()]) {
            let _ = podman(&["rm", "--force", "--ignore", "--time", "0", name]);
        }
    }
}
