//! A step of GitHub's runner that takes more memory than there is. The runner is the fake of `tests/fakes`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use support::{root, run_image, runner_image};
use tempfile::TempDir;

use crate::HOG;

const LISTENER: &str = env!("CARGO_BIN_EXE_fake-runner-listener");

/// The job's only step, called by the runner's `bash -e`.
const STEP: &str = "/hog slow 1 1000";

/// The runner's directory, owned by root as in an image.
fn runner_directory(parent: &Path) -> String {
    let directory = parent.join("actions-runner");
    let fake = root().join("tests/fakes/actions-runner");
    let mut copy = Command::new("cp");
    copy.arg("-rT").args([&fake, &directory]);
    assert!(copy.status().unwrap().success());
    fs::copy(LISTENER, directory.join("bin/Runner.Listener")).unwrap();
    format!("--volume={}:/opt/actions-runner:ro", directory.display())
}

/// The files that GitHub gives a runner for one job.
fn jit_configuration() -> String {
    let encoded = |text: &str| STANDARD.encode(text);
    let settings = r#"{"AgentName": "pod", "WorkFolder": "_work", "GitHubUrl": "https://github.com/o/r", "Ephemeral": "True"}"#;
    let files = serde_json::json!({
        ".runner": encoded(settings),
        ".credentials": encoded(r#"{"Scheme": "OAuth"}"#),
        ".credentials_rsaparams": encoded(r#"{"d": "private"}"#),
    });
    encoded(&files.to_string())
}

/// A directory for the container's user, with one file.
fn volume(place: &str, name: &str, content: &str) -> (TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(name);
    fs::write(&file, content).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
    for path in [directory.path(), &file] {
        chown(path, Some(1000), Some(1000)).unwrap();
    }
    let flag = format!("--volume={}:{place}:rw", directory.path().display());
    (directory, flag)
}

#[test]
fn a_step_without_memory_fails_with_an_annotation() {
    let scratch = tempfile::tempdir().unwrap();
    let (vendor, vendor_flag) = volume("/vendor", "job.sh", STEP);
    let (_secret, secret_flag) =
        volume("/run/secrets/supervisor", "jitconfig", &jit_configuration());
    let flags = [
        "--user=1000:1000",
        "--cap-drop=all",
        "--security-opt=no-new-privileges",
        "--memory=256m",
        "--memory-swap=256m",
        "--mount=type=tmpfs,destination=/run/supervisor,tmpfs-mode=0700,U=true",
        "--mount=type=tmpfs,destination=/workspace,tmpfs-mode=0750,U=true",
        &format!("--volume={HOG}:/hog:ro"),
        &runner_directory(scratch.path()),
        &vendor_flag,
        &secret_flag,
        "--env=SUPERVISOR_MEMORY__GUARD=on",
        "--env=SUPERVISOR_RUNNER__ENV={FAKE_GITHUB=\"/vendor\"}",
    ];
    let arguments = ["run", "--flavor", "github", "--no-preflight"];
    let output = run_image(&runner_image(), &flags, &arguments);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    // The runner takes such a line for an annotation of the job.
    let title = "::error title=Out of memory::out of memory: hog (pid ";
    let annotations = said.lines().filter(|line| line.starts_with(title));
    assert_eq!(annotations.count(), 1, "{output:?}");
    // Worker and listener lived to run the later steps and to report the failed one.
    let log = fs::read_to_string(vendor.path().join("log")).unwrap();
    for line in [
        "worker: always() steps run",
        "reported: 102",
        "job completed: 102",
    ] {
        assert!(log.lines().any(|logged| logged == line), "{line}: {log}");
    }
    let report = said.lines().last().unwrap();
    let report: serde_json::Value = serde_json::from_str(report).unwrap();
    assert_eq!(report["job"]["result"], "failed", "{report}");
    assert_eq!(report["memory"]["supervisor_kills"], 1, "{report}");
    assert_eq!(report["memory"]["kernel_kills"], 0, "{report}");
    assert_eq!(report["wiped"]["leftover_count"], 0, "{report}");
}
