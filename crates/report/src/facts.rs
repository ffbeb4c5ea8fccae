//! What a container knows of itself and of its job: space, memory, images, and the troubles that a job's page names.

use serde::{Deserialize, Serialize};

/// What ended a job or got in its way, from outside of its own programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// SIGTERM reached the pod, and the job had to end.
    Terminated,
    /// The job's own maximum was over.
    Deadline,
    /// A process was killed because memory ran out.
    OutOfMemory,
    /// A volume has no bytes or no inodes left.
    StorageFull,
    /// The builder ended while the job ran.
    BuilderEnded,
}

impl ProblemKind {
    /// All kinds, in the order of a page.
    pub const ALL: [Self; 5] = [
        Self::Terminated,
        Self::Deadline,
        Self::OutOfMemory,
        Self::StorageFull,
        Self::BuilderEnded,
    ];
}

/// A problem with its sentence, which names the remedy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The kind.
    pub kind: ProblemKind,
    /// A sentence for people.
    pub message: String,
}

/// The space of a volume, statvfs(3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// The directory at which it is mounted, or a directory on it.
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// The bytes that a process without rights may still use.
    pub free_bytes: u64,
    /// How many inodes it may have; 0 if the file system has no fixed number.
    pub inodes: u64,
    /// How many of them are free.
    pub free_inodes: u64,
}

/// An image that the builder built or pushed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Its name, `REGISTRY/REPOSITORY:TAG`, at most [`Image::NAME`] bytes.
    pub name: String,
    /// The digest of the manifest that the registry received, `sha256:HEX`. `None` for a build.
    pub digest: Option<String>,
}

impl Image {
    /// The longest name in bytes.
    pub const NAME: usize = 300;
}

/// What a builder says of itself and of the builds of its job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuilderReport {
    /// The builder's version.
    pub version: String,
    /// The number of builds that succeeded.
    pub builds: u64,
    /// The number of builds that failed.
    pub failed_builds: u64,
    /// The number of pushes to registries that succeeded.
    pub pushes: u64,
    /// The names of the first [`BuilderReport::IMAGES`] images that were built.
    pub built: Vec<Image>,
    /// The first [`BuilderReport::IMAGES`] images that were pushed.
    pub pushed: Vec<Image>,
    /// The repository with layers that builds use, from one pod to the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<String>,
    /// The volume of the layers.
    pub volume: Option<Volume>,
    /// The container's limit on memory in bytes; `None` if it has none.
    pub memory_limit_bytes: Option<u64>,
    /// The container's peak memory in bytes, with the page cache; `None` if the kernel does not count it.
    pub memory_peak_bytes: Option<u64>,
    /// The bytes that the container wrote to disks; `None` if the kernel does not count them.
    pub written_bytes: Option<u64>,
}

impl BuilderReport {
    /// How many images each list has at most.
    pub const IMAGES: usize = 20;
}
