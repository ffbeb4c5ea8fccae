//! The settings of the builder: the part of the configuration that it reads, and its storage.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// The settings of a builder.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The socket, in a volume that both containers mount.
    pub socket: PathBuf,
    /// The builder's own volume. It holds layers and the temporary files of builds.
    pub volume: PathBuf,
    /// The directory that the job and the builder share.
    pub workspace: PathBuf,
    /// Further directories to wipe at the end.
    pub also_wipe: Vec<PathBuf>,
    /// The private directory, in memory.
    pub runtime_directory: PathBuf,
    /// The directory of the staged secrets. No process of Buildah sees it.
    pub secrets_directory: PathBuf,
    /// The user id of the job, as the builder sees it.
    pub client_uid: u32,
    /// The number of builds, pulls and pushes that run at the same time, at least 1. The others wait.
    pub parallel: u32,
    /// `REGISTRY/REPOSITORY` that keeps layers from one pod to the next.
    pub cache: Option<String>,
    /// Whether builds also write to the cache.
    pub cache_write: bool,
    /// Patterns of the form `REGISTRY/REPOSITORY` to which the job may push. `*` matches any text.
    pub push_allow: Vec<String>,
    /// Registries of the form `HOST[:PORT]`. Their certificates are not verified.
    pub insecure_registries: Vec<String>,
    /// The pod's grace period, `terminationGracePeriodSeconds`.
    pub termination_grace_period: Duration,
    /// The part of the grace period that is reserved for the wipe.
    pub wipe_reserve: Duration,
    /// The longest time that the wipe at the end may take.
    pub wipe_budget: Duration,
    /// The memory guard, unless it is off.
    pub memory: Option<memory_guard::Settings>,
    /// Buildah's storage.
    pub storage: Storage,
}

/// Buildah's storage. It exists before the builder starts.
#[derive(Debug, Clone)]
pub struct Storage {
    /// The driver's name, containers-storage.conf(5).
    pub driver: &'static str,
    /// Whether a program (fuse-overlayfs) mounts the layers instead of the kernel.
    pub mount_program: bool,
    /// The directory of the image layers.
    pub graph_root: PathBuf,
    /// Buildah's TMPDIR.
    pub temporary: PathBuf,
    /// Variables with the paths of Buildah's configuration files.
    pub environment: Vec<(OsString, OsString)>,
}
