//! Jobs and builds that run out of memory, in containers with a limit: the step or the build ends, and the container stays.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod builds;
mod group_kill;
mod jobs;
mod spared;
mod vm;

use std::process::Output;

use serde_json::Value;
use support::{run_image, runner_image};
use tempfile::TempDir;

/// The program that takes memory.
const HOG: &str = env!("CARGO_BIN_EXE_memory-hog");

/// A job under the guard, in a container with a limit.
struct Job {
    flags: Vec<String>,
    workspace: TempDir,
}

/// What became of it.
struct Ended {
    output: Output,
    report: Value,
}

impl Job {
    /// A container with this much memory and no swap, and with the program `/hog`.
    fn with(memory: &str) -> Self {
        let job = Self::without_limit();
        job.flag(&format!("--memory={memory}"))
            .flag(&format!("--memory-swap={memory}"))
    }

    fn without_limit() -> Self {
        let workspace = tempfile::tempdir().unwrap();
        let all = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(workspace.path(), all).unwrap();
        let flags = vec![
            format!("--volume={HOG}:/hog:ro"),
            format!("--volume={}:/workspace", workspace.path().display()),
            // cgroup v1 kills single processes, so `auto` would only watch.
            "--env=SUPERVISOR_MEMORY__GUARD=on".to_owned(),
        ];
        Self { flags, workspace }
    }

    fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// Runs a script of bash to its end. The container must have lived to report it.
    fn run(self, script: &str) -> Ended {
        let flags: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        let mut arguments = vec!["run", "--flavor", "exec", "--no-preflight"];
        arguments.extend(["--storage-driver", "none", "--", "bash", "-c", script]);
        let output = run_image(&runner_image(), &flags, &arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text.lines().rev().find(|line| line.contains("\"schema\""));
        let line = line.unwrap_or_else(|| panic!("no report: {output:?}"));
        let report = serde_json::from_str(line).unwrap();
        drop(self.workspace);
        Ended { output, report }
    }
}

impl Ended {
    fn said(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    fn kills(&self) -> u64 {
        let memory = &self.report["memory"];
        assert_eq!(memory["kernel_kills"], 0, "{memory}");
        memory["supervisor_kills"].as_u64().unwrap()
    }
}
