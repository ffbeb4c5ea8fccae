//! The configuration of one run: typed, immutable, and every value knows where it came from.
//!
//! Layers, weakest first: defaults, a TOML file, the environment, the command line.

mod checks;
mod defaults;
mod lenient;
pub mod load;
mod origin;
pub mod reserved;
mod runners;
pub mod show;

pub use origin::{ConfigError, ENV_PREFIX, Origin};
pub use runners::{Circleci, Github, RunnerSettings};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Everything `supervisor run` can be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which runner to start.
    pub flavor: FlavorName,
    /// Time between the graceful signal and the group's SIGTERM.
    #[serde(with = "lenient::duration")]
    pub grace: Duration,
    /// The pod's `terminationGracePeriodSeconds`: SIGKILL comes `wipe.reserve` before its end.
    #[serde(with = "lenient::duration")]
    pub termination_grace_period: Duration,
    /// The job's own maximum; none by default.
    #[serde(with = "lenient::optional_duration")]
    pub deadline: Option<Duration>,
    /// End when the parent process ends. Only for a supervisor that is not PID 1.
    pub die_with_parent: bool,
    /// Where our own private files live (a memory file system, not the workspace's volume).
    pub runtime_directory: PathBuf,
    /// The job's files.
    pub workspace: Workspace,
    /// The checks before the job.
    pub preflight: Preflight,
    /// Buildah's storage.
    pub storage: Storage,
    /// Staged secrets.
    pub secrets: Secrets,
    /// What every runner is given.
    pub runner: RunnerSettings,
    /// The flavor `github`.
    pub github: Github,
    /// The flavor `circleci`.
    pub circleci: Circleci,
    /// The flavor `local`.
    pub local: Local,
    /// The flavor `exec`.
    pub exec: Exec,
    /// The container that builds for another one.
    pub builder: Builder,
    /// The wipe at the end.
    pub wipe: Wipe,
    /// The report at the end.
    pub report: Report,
    /// Our own log.
    pub log: Log,
}

/// Which runner the supervisor starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FlavorName {
    /// GitHub's actions/runner, for one job.
    Github,
    /// CircleCI's machine runner, for one task.
    Circleci,
    /// nektos/act in host mode on a mounted repository.
    Local,
    /// Any command.
    Exec,
}

/// The ephemeral volume and what lies on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workspace {
    /// Mount point of the volume. Everything beneath it is wiped.
    pub path: PathBuf,
    /// Further directories that are emptied at the end, such as `/tmp`.
    #[serde(with = "lenient::paths")]
    pub also_wipe: Vec<PathBuf>,
}

impl Workspace {
    /// The job's working directory.
    #[must_use]
    pub fn work(&self) -> PathBuf {
        self.path.join("work")
    }

    /// The job's HOME.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.path.join("home")
    }

    /// The job's TMPDIR.
    #[must_use]
    pub fn temporary(&self) -> PathBuf {
        self.path.join("tmp")
    }
}

/// The checks before the job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preflight {
    /// Run the cheap checks before the job.
    pub enabled: bool,
}

/// Buildah's storage driver: how image layers become one tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Driver {
    /// The first of overlay, fuse-overlayfs, vfs that a trial finds working.
    Auto,
    /// The kernel's overlay file system, mounted in a user namespace (Linux 5.11).
    Overlay,
    /// fuse-overlayfs as `mount_program`.
    FuseOverlayfs,
    /// Full copies: works everywhere, slow and large.
    Vfs,
    /// No builds in this container: no storage is set up.
    None,
}

/// Buildah's storage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    /// Driver, or `auto`.
    pub driver: Driver,
    /// Where layers lie: on the workspace's volume, `storage` beneath it by default.
    pub graph_root: Option<PathBuf>,
    /// Registries (`HOST[:PORT]`) that speak plain HTTP or have no valid certificate.
    #[serde(with = "lenient::list")]
    pub insecure_registries: Vec<String>,
}

/// Staged secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    /// One file a key, as Kubernetes mounts a Secret. May be absent if nothing is required.
    pub directory: PathBuf,
    /// Keys without which the job cannot run.
    #[serde(with = "lenient::list")]
    pub required: Vec<String>,
    /// Variables for the runner: NAME = key. Flavor `exec` only.
    pub environment: BTreeMap<String, String>,
}

/// The flavor `local`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Local {
    /// The repository whose workflows run; it is read, never written.
    pub repository: PathBuf,
    /// The event that triggers the workflows.
    #[serde(with = "lenient::text")]
    pub event: String,
    /// One job's id, or all jobs of the event.
    #[serde(with = "lenient::optional_text")]
    pub job: Option<String>,
    /// `runs-on` labels that this runner answers to.
    #[serde(with = "lenient::list")]
    pub labels: Vec<String>,
}

/// The flavor `exec`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exec {
    /// Program and arguments; on the command line what follows `--`.
    #[serde(with = "lenient::list")]
    pub command: Vec<String>,
}

/// The container that builds for another one: `serve-builds`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Builder {
    /// The socket, in a volume that both containers mount.
    pub socket: PathBuf,
    /// The builder's own volume: layers, and what a build writes while it runs.
    pub volume: PathBuf,
    /// The user id of the job, as the builder sees it.
    pub client_uid: u32,
    /// How many builds, pulls and pushes run at once; the rest wait.
    pub parallel: u32,
    /// A repository that keeps layers from one pod to the next.
    pub cache: Option<String>,
    /// Whether builds of this pod's job write to it as well.
    pub cache_write: bool,
    /// A read-only store with images, beside the builder's own.
    pub image_store: Option<PathBuf>,
    /// Pushes.
    pub push: Push,
}

/// What may be pushed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Push {
    /// `REGISTRY/REPOSITORY`, where `*` stands for any text.
    #[serde(with = "lenient::list")]
    pub allow: Vec<String>,
}

/// The wipe at the end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wipe {
    /// The longest that a wipe may take.
    #[serde(with = "lenient::duration")]
    pub budget: Duration,
    /// Part of the pod's grace period that is kept for wipe and report.
    #[serde(with = "lenient::duration")]
    pub reserve: Duration,
}

/// The report at the end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The container's `terminationMessagePath`; the default one is written if it exists.
    pub file: PathBuf,
}

/// Our own log on stderr.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// `human`, `json`, or `auto`: human on a terminal.
    pub format: LogFormat,
    /// The least severe line that is shown.
    pub level: LogLevel,
}

/// Form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Human on a terminal, JSON otherwise.
    Auto,
    /// One readable line.
    Human,
    /// One JSON object a line.
    Json,
}

/// Severity of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What ended the job early.
    Error,
    /// What the user should know.
    Warn,
    /// One line a step.
    Info,
    /// Everything.
    Debug,
}

impl Config {
    /// The directory that holds Buildah's layers.
    #[must_use]
    pub fn graph_root(&self) -> PathBuf {
        self.storage
            .graph_root
            .clone()
            .unwrap_or_else(|| self.workspace.path.join("storage"))
    }

    /// The same, as the builder's storage and wipe see it: its own volume in place of the job's.
    #[must_use]
    pub fn of_builder(&self) -> Self {
        let mut own = self.clone();
        own.workspace.path = self.builder.volume.clone();
        own.storage.graph_root = None;
        own
    }

    /// Whether `path` lies on the workspace's volume.
    #[must_use]
    pub fn in_workspace(&self, path: &Path) -> bool {
        path.starts_with(&self.workspace.path)
    }

    /// How long after the request to terminate SIGKILL is sent.
    #[must_use]
    pub fn kill_after(&self) -> Duration {
        self.termination_grace_period
            .saturating_sub(self.wipe.reserve)
    }
}

impl Driver {
    /// The driver of that name, but for `auto` and `none`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Overlay, Self::FuseOverlayfs, Self::Vfs]
            .into_iter()
            .find(|driver| driver.name() == name)
    }

    /// The driver's name in our configuration, log and report.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Overlay => "overlay",
            Self::FuseOverlayfs => "fuse-overlayfs",
            Self::Vfs => "vfs",
            Self::None => "none",
        }
    }
}

impl FlavorName {
    /// The flavor's name in our configuration, log and report.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Circleci => "circleci",
            Self::Local => "local",
            Self::Exec => "exec",
        }
    }
}
