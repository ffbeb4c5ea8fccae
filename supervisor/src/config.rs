//! The configuration of one run: typed and immutable. Every value has a known source.
//!
//! The layers, weakest first: defaults, a TOML file, the environment, the command line.

mod defaults;
pub mod load;
mod names;
mod origin;
pub(crate) mod reserved;
mod runners;
mod serde_helpers;
pub mod show;
mod validate;

pub use names::{Driver, FlavorName, JobSummary, LogFormat, LogLevel, MemoryGuard};
pub use origin::{ConfigError, ENV_PREFIX, Origin};
pub use runners::{Circleci, Github, RunnerSettings};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// All settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which runner to start.
    pub flavor: FlavorName,
    /// Time between the graceful signal and the group's SIGTERM.
    #[serde(with = "serde_helpers::duration")]
    pub grace: Duration,
    /// The pod's `terminationGracePeriodSeconds`: SIGKILL comes `wipe.reserve` before its end.
    #[serde(with = "serde_helpers::duration")]
    pub termination_grace_period: Duration,
    /// The longest time that the job may take, from the runner's start; by default there is no limit.
    #[serde(with = "serde_helpers::optional_duration")]
    pub deadline: Option<Duration>,
    /// End when the parent process ends. Only for a supervisor that is not PID 1.
    pub die_with_parent: bool,
    /// The directory of the supervisor's private files: on a memory file system, outside the workspace.
    pub runtime_directory: PathBuf,
    /// The job's files.
    pub workspace: Workspace,
    /// The checks before the job.
    pub preflight: Preflight,
    /// Buildah's storage.
    pub storage: Storage,
    /// Staged secrets.
    pub secrets: Secrets,
    /// Settings of every runner.
    pub runner: RunnerSettings,
    /// The flavor `github`.
    pub github: Github,
    /// The flavor `circleci`.
    pub circleci: Circleci,
    /// The flavor `local`.
    pub local: Local,
    /// The flavor `exec`.
    pub exec: Exec,
    /// The container that builds for the job.
    pub builder: Builder,
    /// The guard against the end of the container by a lack of memory.
    pub memory: Memory,
    /// The wipe at the end.
    pub wipe: Wipe,
    /// The report at the end.
    pub report: Report,
    /// The supervisor's log.
    pub log: Log,
}

/// The ephemeral volume and its directories.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workspace {
    /// Mount point of the volume. Everything beneath it is wiped.
    pub path: PathBuf,
    /// Further directories to empty at the end, such as `/tmp`.
    #[serde(with = "serde_helpers::paths")]
    pub also_wipe: Vec<PathBuf>,
}

impl Workspace {
    /// Returns the job's working directory.
    #[must_use]
    pub fn work(&self) -> PathBuf {
        self.path.join("work")
    }

    /// Returns the job's HOME.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.path.join("home")
    }

    /// Returns the job's TMPDIR.
    #[must_use]
    pub fn temporary(&self) -> PathBuf {
        self.path.join("tmp")
    }

    /// Returns the root directory of the vendor's runner.
    #[must_use]
    pub fn runner(&self) -> PathBuf {
        self.path.join("runner")
    }

    /// Returns the directories that a job may fill: the workspace, those that are wiped as well, and `/tmp`.
    #[must_use]
    pub fn volumes(&self) -> Vec<PathBuf> {
        let mut paths = vec![self.path.clone()];
        paths.extend(self.also_wipe.iter().cloned());
        paths.push(PathBuf::from("/tmp"));
        paths
    }

    /// Returns the default directory of Buildah's layers.
    #[must_use]
    pub fn storage(&self) -> PathBuf {
        self.path.join("storage")
    }
}

/// The checks before the job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preflight {
    /// Run the cheap checks before the job.
    pub enabled: bool,
}

/// Buildah's storage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    /// Driver, or `auto`.
    pub driver: Driver,
    /// The directory of the layers, on the workspace's volume; `storage` beneath the workspace by default.
    pub graph_root: Option<PathBuf>,
    /// Registries (`HOST[:PORT]`) that speak plain HTTP or have no valid certificate.
    #[serde(with = "serde_helpers::list")]
    pub insecure_registries: Vec<String>,
}

/// Staged secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    /// The directory with one file for each key, as Kubernetes mounts a Secret. It may be absent if no key is required.
    pub directory: PathBuf,
    /// Keys without which the job cannot run.
    #[serde(with = "serde_helpers::list")]
    pub required: Vec<String>,
    /// Variables of the command: NAME = key. Only for the flavor `exec`.
    pub environment: BTreeMap<String, String>,
}

/// The flavor `local`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Local {
    /// The repository with the workflows to run. It is read and never written.
    pub repository: PathBuf,
    /// The event that triggers the workflows.
    #[serde(with = "serde_helpers::text")]
    pub event: String,
    /// The id of one job; `None` runs all jobs of the event.
    #[serde(with = "serde_helpers::optional_text")]
    pub job: Option<String>,
    /// `runs-on` labels that this runner accepts.
    #[serde(with = "serde_helpers::list")]
    pub labels: Vec<String>,
}

/// The flavor `exec`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exec {
    /// Program and arguments: on the command line, the words after `--`.
    #[serde(with = "serde_helpers::list")]
    pub command: Vec<String>,
}

/// The builder's container: `serve-builds`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Builder {
    /// The builder's socket, in a volume that both containers mount.
    pub socket: PathBuf,
    /// The builder's own volume: layers, and files that a build writes while it runs.
    pub volume: PathBuf,
    /// The user id of the job, as the builder sees it.
    pub client_uid: u32,
    /// How many builds, pulls and pushes run at once; the rest wait.
    pub parallel: u32,
    /// A repository with layers that builds use, from one pod to the next.
    pub cache: Option<String>,
    /// Whether builds of this pod's job also write to the cache.
    pub cache_write: bool,
    /// A read-only Buildah storage with images, beside the builder's own.
    pub image_store: Option<PathBuf>,
    /// The rules for pushes.
    pub push: Push,
}

impl Builder {
    /// Returns the directories on the builder's own volume.
    #[must_use]
    pub fn directories(&self) -> Workspace {
        Workspace {
            path: self.volume.clone(),
            also_wipe: Vec::new(),
        }
    }
}

/// The names that may be pushed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Push {
    /// Names of the form `REGISTRY/REPOSITORY`; `*` stands for any text.
    #[serde(with = "serde_helpers::list")]
    pub allow: Vec<String>,
}

/// The guard against the end of the container by a lack of memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Whether it kills processes of the job before the kernel kills the container.
    pub guard: MemoryGuard,
    /// The head room in bytes at which it does; by default it depends on the limit.
    #[serde(with = "serde_helpers::optional_bytes")]
    pub headroom: Option<u64>,
}

/// The wipe at the end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wipe {
    /// The longest that a wipe may take.
    #[serde(with = "serde_helpers::duration")]
    pub budget: Duration,
    /// The part of the pod's grace period that is reserved for wipe and report.
    #[serde(with = "serde_helpers::duration")]
    pub reserve: Duration,
}

/// The report at the end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The container's `terminationMessagePath`. The default file is written if it exists; any other file is created.
    pub file: PathBuf,
}

/// The supervisor's log on stderr.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// `human`, `json`, or `auto`: human on a terminal.
    pub format: LogFormat,
    /// The least severe line that is shown.
    pub level: LogLevel,
}

impl Config {
    /// Returns the directory of Buildah's layers.
    #[must_use]
    pub fn graph_root(&self) -> PathBuf {
        self.storage
            .graph_root
            .clone()
            .unwrap_or_else(|| self.workspace.storage())
    }

    /// Whether `path` is on the workspace's volume.
    #[must_use]
    pub fn in_workspace(&self, path: &Path) -> bool {
        path.starts_with(&self.workspace.path)
    }

    /// Returns the time between the request to terminate and SIGKILL.
    #[must_use]
    pub fn kill_after(&self) -> Duration {
        self.termination_grace_period
            .saturating_sub(self.wipe.reserve)
    }
}
