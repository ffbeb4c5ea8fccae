//! Settings of the runners: those of every flavor, and one table for each vendor.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::names::JobSummary;
use super::serde_helpers;

/// Settings of every flavor's runner.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunnerSettings {
    /// The job's variables: NAME = value. Never a secret, because they are in the pod's specification.
    pub env: BTreeMap<String, String>,
    /// Variables of the container that the job also gets: names, `PREFIX_*`, or `*`.
    #[serde(with = "serde_helpers::list")]
    pub inherit: Vec<String>,
    /// A file of certificates (PEM) that the job trusts beside the system's own.
    pub ca_bundle: Option<PathBuf>,
}

/// The flavor `github`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Github {
    /// The directory of actions/runner in the image, with `bin` and `externals`.
    pub directory: PathBuf,
    /// The URL of the repository, organization or enterprise to register at. Only with a registration token.
    pub url: Option<String>,
    /// Labels beside the default ones. Only with a registration token.
    #[serde(with = "serde_helpers::list")]
    pub labels: Vec<String>,
    /// Leave out the labels `self-hosted`, system and architecture. Only with a registration token.
    pub no_default_labels: bool,
    /// The runner group. Only with a registration token.
    pub group: Option<String>,
    /// The runner's name, by default the pod's. Only with a registration token.
    pub name: Option<String>,
    /// How often a runner that ended with "retryable" is started again.
    pub retries: u32,
    /// The pause before the first of these starts. Each further pause is twice as long, up to a minute.
    #[serde(with = "serde_helpers::duration")]
    pub retry_pause: Duration,
    /// How long a runner waits for its job. `None`: without limit.
    #[serde(with = "serde_helpers::optional_duration")]
    pub idle_timeout: Option<Duration>,
    /// How long a runner without a job may fail to reach GitHub.
    #[serde(with = "serde_helpers::duration")]
    pub connect_timeout: Duration,
    /// How long a step has between SIGTERM and SIGKILL, if the job has to end.
    #[serde(with = "serde_helpers::duration")]
    pub step_grace: Duration,
    /// Whether the container's exit code follows the job's result.
    pub exit_with_job: bool,
    /// When the job's page gets a summary.
    pub job_summary: JobSummary,
    /// The user's own program, called when the job starts.
    pub hook_started: Option<PathBuf>,
    /// The user's own program, called when the job's steps are done.
    pub hook_completed: Option<PathBuf>,
}

impl Default for Github {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("/opt/actions-runner"),
            url: None,
            labels: Vec::new(),
            no_default_labels: false,
            group: None,
            name: None,
            retries: 5,
            retry_pause: Duration::from_secs(5),
            idle_timeout: None,
            connect_timeout: Duration::from_secs(300),
            step_grace: Duration::from_secs(2),
            exit_with_job: false,
            job_summary: JobSummary::Problems,
            hook_started: None,
            hook_completed: None,
        }
    }
}

/// The flavor `circleci`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Circleci {
    /// The path of the machine runner in the image.
    pub program: PathBuf,
    /// The URL of a CircleCI server installation. `None`: CircleCI's cloud.
    pub url: Option<String>,
    /// The runner's name, by default the pod's.
    pub name: Option<String>,
    /// How long a runner waits for its task. `None`: without limit.
    #[serde(with = "serde_helpers::optional_duration")]
    pub idle_timeout: Option<Duration>,
    /// CircleCI's own limit for a task. `None`: the vendor's default.
    #[serde(with = "serde_helpers::optional_duration")]
    pub max_run_time: Option<Duration>,
    /// Words in front of the task agent's command line.
    pub command_prefix: Vec<String>,
    /// Whether CircleCI runs a task again if its runner was lost. The lost runner may have done part of the work.
    pub enable_unsafe_retries: bool,
}

impl Default for Circleci {
    fn default() -> Self {
        Self {
            program: PathBuf::from("/opt/circleci/circleci-runner"),
            url: None,
            name: None,
            idle_timeout: None,
            max_run_time: None,
            command_prefix: Vec::new(),
            enable_unsafe_retries: false,
        }
    }
}
