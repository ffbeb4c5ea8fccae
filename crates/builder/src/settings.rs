//! What the builder is told by who starts it: the part of the configuration that it reads, and the storage it was given.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// How to build.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The socket, in a volume that both containers mount.
    pub socket: PathBuf,
    /// The builder's own volume: layers, and what a build writes while it runs.
    pub volume: PathBuf,
    /// The directory that job and builder share.
    pub workspace: PathBuf,
    /// Directories that are wiped at the end too.
    pub also_wipe: Vec<PathBuf>,
    /// The private directory, in memory.
    pub runtime_directory: PathBuf,
    /// Where the secrets are mounted; no process of Buildah sees it.
    pub secrets_directory: PathBuf,
    /// The user id of the job, as the builder sees it.
    pub client_uid: u32,
    /// How many builds, pulls and pushes run at once; the rest wait.
    pub parallel: u32,
    /// A repository that keeps layers from one pod to the next.
    pub cache: Option<String>,
    /// Whether builds of this pod's job write to it as well.
    pub cache_write: bool,
    /// `REGISTRY/REPOSITORY` that may be pushed to, where `*` stands for any text.
    pub push_allow: Vec<String>,
    /// Registries, by host and port, whose certificates are not verified.
    pub insecure_registries: Vec<String>,
    /// The pod's grace period.
    pub termination_grace_period: Duration,
    /// The longest that the wipe at the end may take.
    pub wipe_budget: Duration,
    /// Where layers lie.
    pub storage: Storage,
}

/// Buildah's storage, which is there already.
#[derive(Debug, Clone)]
pub struct Storage {
    /// The driver, by Buildah's own name.
    pub driver: &'static str,
    /// Whether a program mounts the layers rather than the kernel.
    pub mount_program: bool,
    /// The directory of the layers.
    pub graph_root: PathBuf,
    /// TMPDIR of Buildah.
    pub temporary: PathBuf,
    /// What points Buildah at its files.
    pub environment: Vec<(OsString, OsString)>,
}
