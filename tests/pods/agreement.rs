//! A local run's containers have the restrictions that the manifests state for a pod's.

use std::process::Command;

use serde_json::Value;
use support::{Job, manifests, podman};
use tempfile::TempDir;

use crate::rights::Rights;

/// What the manifests state for a container.
fn stated(overlay: &str, container: &str, scratch: &TempDir) -> Rights {
    let pod = crate::kubelet::with_script(overlay, "true");
    let all = manifests::containers(&pod);
    let one = all
        .into_iter()
        .find(|one| one["name"] == container)
        .unwrap();
    Rights::of(&pod, one, scratch.path())
}

fn inspected(name: &str) -> Value {
    let output = podman(&["inspect", name]);
    assert!(output.status.success(), "{name}: {output:?}");
    let all: Value = serde_json::from_slice(&output.stdout).unwrap();
    all[0].clone()
}

/// Whatever podman calls it, it comes to the same.
fn assert_has(name: &str, rights: &Rights) {
    let found = inspected(name);
    assert_eq!(
        found["Config"]["User"],
        format!("{}:{}", rights.user, rights.group),
        "{name}"
    );
    let host = &found["HostConfig"];
    assert_eq!(host["Privileged"], false, "{name}");
    assert_eq!(host["ReadonlyRootfs"], rights.read_only, "{name}");
    for shared in ["PidMode", "IpcMode", "UTSMode"] {
        assert_ne!(host[shared], "host", "{name}: {shared}");
    }
    let mut options = host["SecurityOpt"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str);
    let no_new_privileges = options.clone().any(|option| option == "no-new-privileges");
    assert_eq!(no_new_privileges, rights.no_new_privileges, "{name}");
    let file = options
        .find_map(|option| option.strip_prefix("seccomp="))
        .unwrap();
    let profile: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert!(
        profile == rights.seccomp,
        "{name}: {file} is another profile"
    );
    let pid = &found["State"]["Pid"];
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = |key: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(key))
            .unwrap()
            .trim()
    };
    assert_eq!(line("CapBnd:"), rights.bounding(), "{name}");
    assert_eq!(
        line("NoNewPrivs:"),
        u8::from(rights.no_new_privileges).to_string(),
        "{name}"
    );
    assert_eq!(line("Seccomp:"), "2", "{name}");
}

/// A run of the script. It is ended when this is dropped, also if the test fails.
struct Script(u32);

impl Drop for Script {
    fn drop(&mut self) {
        let kill = Command::new("kill")
            .args(["-TERM", &self.0.to_string()])
            .status();
        drop(kill);
    }
}

#[test]
fn local_runs_have_the_restrictions_of_the_manifests() {
    let scratch = tempfile::tempdir().unwrap();
    for (shape, containers) in [
        ("split", &[("runner", ""), ("builder", "-builder")][..]),
        ("single", &[("runner", "")]),
    ] {
        let job = Job::shell("echo it runs; exec sleep 86378").arguments(&["--shape", shape]);
        let mut running = job.start();
        let script = Script(running.child.id());
        running.wait_for_text("it runs");
        for (container, suffix) in containers {
            let rights = stated(&format!("github-{shape}-rootless"), container, &scratch);
            assert_has(&format!("{}{suffix}", running.name), &rights);
        }
        drop(script);
        running.wait().assert_nothing_is_left();
    }
}
