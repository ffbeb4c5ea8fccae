//! Jobs and builds that run out of memory, in containers with a limit: the step or the build ends, and the container stays.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod builds;
mod github;
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

/// The guard has to be first in one of so many tries.
const ATTEMPTS: usize = 3;

/// A job under the guard, in a container with a limit.
struct Job {
    flags: Vec<String>,
    /// It lives as long as the job.
    _workspace: TempDir,
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
        Self {
            flags,
            _workspace: workspace,
        }
    }

    fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// Runs a script of bash to its end. If the kernel was faster than the guard, again: both may wait for a processor that
    /// others have. `scripts/bench.sh memory` counts how often that happens.
    fn run(self, script: &str) -> Ended {
        for _ in 1..ATTEMPTS {
            match self.run_once(script) {
                Ok(ended) if ended.report["memory"]["kernel_kills"] == 0 => return ended,
                // The kernel may even have taken the container.
                _ => {}
            }
        }
        self.run_once(script).unwrap()
    }

    /// Runs a script of bash to its end. An error if the container did not live to report it.
    fn run_once(&self, script: &str) -> Result<Ended, String> {
        let flags: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        let mut arguments = vec!["run", "--flavor", "exec", "--no-preflight"];
        arguments.extend(["--storage-driver", "none", "--", "bash", "-c", script]);
        let output = run_image(&runner_image(), &flags, &arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text.lines().rev().find(|line| line.contains("\"schema\""));
        let line = line.ok_or_else(|| format!("no report: {output:?}"))?;
        let report = serde_json::from_str(line).unwrap();
        Ok(Ended { output, report })
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
