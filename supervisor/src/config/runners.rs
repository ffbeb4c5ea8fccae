//! Settings of the runners themselves: what all of them share, and one table a vendor.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::lenient;

/// What every flavor's runner is given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunnerSettings {
    /// Variables of the job: NAME = value. Never a secret: they stand in the pod's specification.
    pub env: BTreeMap<String, String>,
    /// Variables of the container that the job gets too: names, `PREFIX_*`, or `*`.
    #[serde(with = "lenient::list")]
    pub inherit: Vec<String>,
    /// Certificates (PEM) that are trusted beside the system's own.
    pub ca_bundle: Option<PathBuf>,
}

/// The flavor `github`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Github {
    /// Where the image has actions/runner: `bin`, `externals`.
    pub directory: PathBuf,
    /// Repository, organisation or enterprise to register at; with a registration token only.
    pub url: Option<String>,
    /// Labels beside the default ones; with a registration token only.
    #[serde(with = "lenient::list")]
    pub labels: Vec<String>,
    /// Leave out `self-hosted`, the system and the architecture; with a registration token only.
    pub no_default_labels: bool,
    /// Runner group; with a registration token only.
    pub group: Option<String>,
    /// The runner's name; the pod's by default. With a registration token only.
    pub name: Option<String>,
    /// How often a runner that ended with "retryable" is started again.
    pub retries: u32,
    /// The pause before the first of these; each further one is twice as long, up to a minute.
    #[serde(with = "lenient::duration")]
    pub retry_pause: Duration,
    /// How long a runner waits for its job.
    #[serde(with = "lenient::optional_duration")]
    pub idle_timeout: Option<Duration>,
    /// How long a runner without a job may not reach GitHub.
    #[serde(with = "lenient::duration")]
    pub connect_timeout: Duration,
    /// How long the job's step that runs when the job has to end has between SIGTERM and SIGKILL.
    #[serde(with = "lenient::duration")]
    pub step_grace: Duration,
    /// The container's exit code follows the job's result.
    pub exit_with_job: bool,
    /// A program of the user's, called when the job starts.
    pub hook_started: Option<PathBuf>,
    /// A program of the user's, called when the job is done.
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
            hook_started: None,
            hook_completed: None,
        }
    }
}

/// The flavor `circleci`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Circleci {
    /// The machine runner's program.
    pub program: PathBuf,
    /// The server, for CircleCI server installations; CircleCI's cloud by default.
    pub url: Option<String>,
    /// The runner's name; the pod's by default.
    pub name: Option<String>,
    /// How long a runner waits for its task.
    #[serde(with = "lenient::optional_duration")]
    pub idle_timeout: Option<Duration>,
    /// CircleCI's own limit for a task; the vendor's default where none is set.
    #[serde(with = "lenient::optional_duration")]
    pub max_run_time: Option<Duration>,
    /// Words in front of the task agent's command line.
    pub command_prefix: Vec<String>,
    /// Let CircleCI run a task again whose runner was lost, although it may have done part of its work.
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
