//! The report of a run: one line of JSON for people, the kubelet and the launcher.
//!
//! `docs/report.md` documents the schema. A new field keeps the version of the schema, a changed one needs a new
//! version. [`exit`] has the exit codes that a report names.

pub mod exit;
mod facts;

pub use facts::{BuilderReport, Image, Problem, ProblemKind, Volume};

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The name and version of the schema.
pub const SCHEMA: &str = "ci-cd-agents.report/v1";

/// The default `terminationMessagePath` of a container in Kubernetes.
pub const DEFAULT_FILE: &str = "/dev/termination-log";

/// The reason why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The runner exited with 0.
    Completed,
    /// The runner exited with another code, or a signal ended it.
    Failed,
    /// SIGTERM requested the end.
    Terminated,
    /// The job took longer than its deadline.
    Deadline,
    /// The configuration is wrong.
    Config,
    /// The preflight found a problem that makes the job impossible.
    Preflight,
    /// The storage could not be set up.
    Storage,
    /// A secret is missing or unusable.
    Secrets,
    /// The runner could not be started.
    CannotStart,
    /// The job succeeded, but leftovers remain in the workspace.
    Leftovers,
    /// The supervisor has a defect.
    Internal,
    /// No job came before the idle timeout.
    Idle,
    /// The CI vendor's runner gave up: it is not configured, not registered, or the vendor refused it.
    RunnerError,
    /// The runner failed for a reason that may pass, and did so at each of its starts.
    RetriesExhausted,
    /// The runner ended to update itself. The runner of an image must not.
    Updating,
    /// Another runner with the same name is connected.
    SessionConflict,
    /// The CI vendor no longer accepts this version of its runner.
    VersionDeprecated,
    /// The runner did not reach its CI service within the time that it had for that.
    Unreachable,
}

/// A step of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// The settings are read.
    Config,
    /// An earlier run's leftovers are wiped, the job's directories are made, and the preflight checks run.
    Preflight,
    /// The storage driver and the files of Buildah are set up.
    Storage,
    /// The staged secrets are read.
    Secrets,
    /// The job runs.
    Runner,
    /// The job's files are wiped.
    Wipe,
}

/// The duration of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// The step.
    pub step: Step,
    /// The duration in milliseconds.
    pub ms: f64,
}

/// The end of the runner, apart from the end of the supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunnerReport {
    /// The exit code, if the runner called exit(3).
    pub exit_code: Option<u8>,
    /// The number of the signal that ended it otherwise.
    pub signal: Option<i32>,
    /// The number of processes that ran as the runner, one after the other.
    #[serde(default)]
    pub starts: u32,
    /// The number of orphans that PID 1 reaped while the runner ran and after it.
    pub reaped_orphans: u64,
    /// The first twenty processes that still ran after the runner and were ended, as `name (pid)`.
    pub survivors: Vec<String>,
    /// The processes that could not be ended, as `name (pid)`.
    pub unkillable: Vec<String>,
    /// The peak memory of the job in bytes: that of the container's cgroup, or of the largest process.
    pub peak_memory_bytes: Option<u64>,
}

/// Who killed a process because memory ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KilledBy {
    /// The supervisor, before the kernel would have killed the container.
    Supervisor,
    /// The kernel.
    Kernel,
}

/// One kill because memory ran out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryKill {
    /// The name of the process, at most 15 characters; empty if it is not known.
    pub name: String,
    /// Its pid, 0 if it is not known.
    pub pid: i32,
    /// Its memory in bytes, or that of all together.
    pub bytes: u64,
    /// How many processes were killed at once.
    pub processes: u64,
    /// Who killed it.
    pub by: KilledBy,
}

/// The memory of the container while the job or the builds ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryReport {
    /// The tightest limit in bytes.
    pub limit_bytes: u64,
    /// The most memory that could not be reclaimed, in bytes, as the supervisor saw it.
    pub peak_bytes: u64,
    /// Whether the supervisor kills processes itself. Otherwise it only watches.
    pub acts: bool,
    /// The number of processes that the supervisor killed.
    pub supervisor_kills: u64,
    /// The number of processes that the kernel killed.
    pub kernel_kills: u64,
    /// The first [`MemoryReport::KILLS`] kills.
    pub kills: Vec<MemoryKill>,
}

impl MemoryReport {
    /// How many kills a report lists.
    pub const KILLS: usize = 8;
}

/// The CI vendor's job. A field is missing if the runner did not report it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CiJob {
    /// The repository.
    pub repository: Option<String>,
    /// The name of the workflow.
    pub workflow: Option<String>,
    /// The id of the job in the workflow.
    pub job: Option<String>,
    /// The number of the run at the vendor.
    pub run_id: Option<String>,
    /// The time at which the job began (RFC 3339).
    pub started_at: Option<String>,
    /// The time at which its last step was done (RFC 3339).
    pub completed_at: Option<String>,
    /// The result: `succeeded`, `succeeded_with_issues`, `failed`, `canceled`, `skipped` or `abandoned`.
    pub result: Option<String>,
    /// True if the end was requested and the job was allowed to finish.
    pub drained: bool,
    /// The reason why the job's steps were ended from outside: `terminated`, `deadline` or `idle`. `None` if they were not.
    #[serde(default)]
    pub ended_by: Option<Reason>,
}

/// The state of the runner's registration at the vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Registration {
    /// The runner had its job, and the registration vanishes with it.
    Used,
    /// The registration was removed.
    Removed,
    /// The registration stays in the vendor's list as offline until the vendor removes it.
    Lingers,
    /// The vendor had deleted it before the runner had a job.
    Gone,
}

/// The result of a wipe.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WipeReport {
    /// The number of files, symlinks and other non-directories that were removed.
    pub files: u64,
    /// The number of directories that were removed.
    pub directories: u64,
    /// The bytes that were freed, by `st_blocks` of stat(2).
    pub bytes: u64,
    /// The number of leftovers.
    pub leftover_count: u64,
    /// The first leftovers, each with the name of an error of errno(3).
    pub leftovers: Vec<String>,
}

impl WipeReport {
    /// Adds what a later wipe of the same run removed and left.
    pub fn add(&mut self, later: Self) {
        self.files += later.files;
        self.directories += later.directories;
        self.bytes += later.bytes;
        self.leftover_count += later.leftover_count;
        self.leftovers.extend(later.leftovers);
    }
}

/// The report of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The schema, [`SCHEMA`].
    pub schema: String,
    /// The version of the supervisor.
    pub version: String,
    /// The flavor.
    pub flavor: Option<String>,
    /// The reason why the run ended.
    pub reason: Reason,
    /// The exit code of the container.
    pub exit_code: u8,
    /// The step that failed, if a step failed.
    pub failed_step: Option<Step>,
    /// A sentence for people, if there is more to explain.
    pub message: Option<String>,
    /// The end of the runner, if the runner was started.
    pub runner: Option<RunnerReport>,
    /// The CI vendor's job, if there was a job.
    #[serde(default)]
    pub job: Option<CiJob>,
    /// The state of the runner's registration, if it has one.
    #[serde(default)]
    pub registration: Option<Registration>,
    /// The storage driver for builds.
    pub storage_driver: Option<String>,
    /// The isolation that the builder uses for RUN steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<String>,
    /// The memory of the container, if it has a limit and the supervisor watches it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryReport>,
    /// What ended the job or got in its way from outside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    /// The job's volumes when its steps were done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Volume>,
    /// The bytes that the container wrote to disks, if the kernel counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_bytes: Option<u64>,
    /// What the builder said after the job, if there is a builder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builder: Option<BuilderReport>,
    /// The result of the wipe before the job, which removes what an earlier run left.
    pub found: Option<WipeReport>,
    /// The result of the wipe after the job.
    pub wiped: Option<WipeReport>,
    /// The durations of the steps, in the order of their first use.
    pub steps: Vec<Timing>,
}

impl Report {
    /// Returns the report of a run that has not begun.
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
            memory: None,
            problems: Vec::new(),
            volumes: Vec::new(),
            written_bytes: None,
            builder: None,
            found: None,
            wiped: None,
            steps: Vec::new(),
        }
    }

    /// Adds a duration to that of a step.
    pub fn add_duration(&mut self, step: Step, duration: Duration) {
        let ms = (duration.as_secs_f64() * 1e6).round() / 1e3;
        match self.steps.iter_mut().find(|timing| timing.step == step) {
            Some(timing) => timing.ms += ms,
            None => self.steps.push(Timing { step, ms }),
        }
    }
}
