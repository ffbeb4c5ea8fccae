//! The report: what happened, as one JSON line for people, the kubelet and the launcher.
//!
//! The schema is documented in `docs/report.md`; a field is added without notice, changed only with a
//! new version. The types are all that the library has without its default feature.

#[cfg(feature = "pid1")]
mod publish;

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Version of the schema.
pub const SCHEMA: &str = "ci-cd-agents.report/v1";

/// A container's `terminationMessagePath`, unless its pod says otherwise.
pub const DEFAULT_FILE: &str = "/dev/termination-log";

/// Why the run ended as it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The runner ended with 0.
    Completed,
    /// The runner ended with another code or by a signal.
    Failed,
    /// The end was asked for with SIGTERM.
    Terminated,
    /// The job's own maximum was over.
    Deadline,
    /// The configuration is wrong.
    Config,
    /// Preflight found a fatal fault.
    Preflight,
    /// Storage could not be set up.
    Storage,
    /// A secret is missing or unusable.
    Secrets,
    /// The runner could not be started.
    CannotStart,
    /// The job succeeded but something remained in the workspace.
    Leftovers,
    /// A defect of the supervisor.
    Internal,
    /// No job came in the time that the runner had for it.
    Idle,
    /// The CI vendor's runner gave up: not configured, not registered, refused.
    RunnerError,
    /// The runner failed in a way that may pass, and did so each time it was started again.
    RetriesExhausted,
    /// The runner ended in order to update itself, which an image's runner must not.
    Updating,
    /// Another runner of this name is connected.
    SessionConflict,
    /// The CI vendor no longer takes this version of its runner.
    VersionDeprecated,
    /// The runner did not reach its CI service for as long as it had for that.
    Unreachable,
}

/// A step of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Reading the settings.
    Config,
    /// Wiping what an earlier run left, making the job's directories, and the cheap checks.
    Preflight,
    /// Driver and files for Buildah.
    Storage,
    /// Staged secrets.
    Secrets,
    /// The job.
    Runner,
    /// The wipe.
    Wipe,
}

/// How long a step took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// The step.
    pub step: Step,
    /// Milliseconds.
    pub ms: f64,
}

/// The runner's own end, never mixed up with ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runner {
    /// Its exit code, if it called exit(3).
    pub exit_code: Option<u8>,
    /// The signal that ended it otherwise.
    pub signal: Option<i32>,
    /// How many processes the runner took, one after the other.
    #[serde(default)]
    pub starts: u32,
    /// Orphans reaped, while it ran and after.
    pub reaped_orphans: u64,
    /// Processes that outlived it and were ended, the first twenty.
    pub survivors: Vec<String>,
    /// Processes that could not be ended.
    pub unkillable: Vec<String>,
    /// Most memory that the job used at once, in bytes: the container's cgroup, or its largest process.
    pub peak_memory_bytes: Option<u64>,
}

/// The CI vendor's job, as far as its runner told of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CiJob {
    /// The repository.
    pub repository: Option<String>,
    /// The workflow's name.
    pub workflow: Option<String>,
    /// The job's id in the workflow.
    pub job: Option<String>,
    /// The run's number at the vendor's.
    pub run_id: Option<String>,
    /// When it began (RFC 3339).
    pub started_at: Option<String>,
    /// When its last step was done.
    pub completed_at: Option<String>,
    /// `succeeded`, `succeeded_with_issues`, `failed`, `canceled`, `skipped` or `abandoned`, if the runner told.
    pub result: Option<String>,
    /// The end was asked for, and the job was let go on.
    pub drained: bool,
    /// Why the job did not end by itself: `terminated`, `deadline` or `idle`, where its steps were ended from outside.
    #[serde(default)]
    pub ended_by: Option<Reason>,
}

/// What has become of the runner's registration at the vendor's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Registration {
    /// It had its job, and vanishes with it.
    Used,
    /// It was removed.
    Removed,
    /// It stays in the vendor's list as offline until the vendor removes it.
    Lingers,
    /// The vendor had deleted it before the runner had a job.
    Gone,
}

/// What a wipe removed and what it could not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wiped {
    /// Files and other non-directories removed.
    pub files: u64,
    /// Directories removed.
    pub directories: u64,
    /// Bytes freed, as st_blocks counts them.
    pub bytes: u64,
    /// What is still there.
    pub leftover_count: u64,
    /// The first of them, with errno(3) names.
    pub leftovers: Vec<String>,
}

/// The whole report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// The supervisor's version.
    pub version: String,
    /// Which runner.
    pub flavor: Option<String>,
    /// Why it ended so.
    pub reason: Reason,
    /// The code this container ends with.
    pub exit_code: u8,
    /// The step that failed the run, if one did.
    pub failed_step: Option<Step>,
    /// A sentence for people, if there is something to say.
    pub message: Option<String>,
    /// The runner's own end, if it was started.
    pub runner: Option<Runner>,
    /// The vendor's job, if there was one.
    #[serde(default)]
    pub job: Option<CiJob>,
    /// What has become of the runner's registration, where it has one.
    #[serde(default)]
    pub registration: Option<Registration>,
    /// The storage driver for builds.
    pub storage_driver: Option<String>,
    /// How a builder isolated the RUN steps of builds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<String>,
    /// What an earlier run had left and this one removed first.
    pub found: Option<Wiped>,
    /// The wipe at the end.
    pub wiped: Option<Wiped>,
    /// Durations in order.
    pub steps: Vec<Timing>,
}

impl Report {
    /// A report of a run that has not begun.
    #[must_use]
    pub fn new(flavor: Option<&str>) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            flavor: flavor.map(str::to_owned),
            reason: Reason::Completed,
            exit_code: 0,
            failed_step: None,
            message: None,
            runner: None,
            job: None,
            registration: None,
            storage_driver: None,
            isolation: None,
            found: None,
            wiped: None,
            steps: Vec::new(),
        }
    }

    /// Notes how long a step, or a part of it, took.
    pub fn took(&mut self, step: Step, duration: Duration) {
        let ms = (duration.as_secs_f64() * 1e6).round() / 1e3;
        match self.steps.iter_mut().find(|timing| timing.step == step) {
            Some(timing) => timing.ms += ms,
            None => self.steps.push(Timing { step, ms }),
        }
    }
}
