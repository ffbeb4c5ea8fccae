//! Settings that are one of several names.

use serde::{Deserialize, Serialize};

/// The kind of runner that the supervisor starts.
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

/// Buildah's storage driver: the way in which image layers become one tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Driver {
    /// The first of overlay, fuse-overlayfs, vfs that a probe proves.
    Auto,
    /// The kernel's overlay file system, mounted in a user namespace (Linux 5.11).
    Overlay,
    /// fuse-overlayfs as `mount_program`.
    FuseOverlayfs,
    /// Every layer is a full copy: it works everywhere, but is slow and large.
    Vfs,
    /// No builds in this container: no storage is set up.
    None,
}

/// Whether the supervisor kills processes of the job before the container runs out of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemoryGuard {
    /// If the kernel would kill the whole container; otherwise it only watches.
    Auto,
    /// Always.
    On,
    /// It does not even watch.
    Off,
}

/// When a job of GitHub gets a summary on its page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobSummary {
    /// Never.
    Never,
    /// If something ended the job or got in its way from outside.
    Problems,
    /// Always.
    Always,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Human on a terminal, JSON otherwise.
    Auto,
    /// One line for people.
    Human,
    /// One JSON object on a line.
    Json,
}

/// The severity of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// A fault that ended the job early.
    Error,
    /// A problem that did not end the job.
    Warn,
    /// One line for each step.
    Info,
    /// Everything.
    Debug,
}

impl Driver {
    /// Returns the driver of that name. `auto` and `none` name no driver.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Overlay, Self::FuseOverlayfs, Self::Vfs]
            .into_iter()
            .find(|driver| driver.name() == name)
    }

    /// Returns the driver's name in configuration, log and report.
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

impl JobSummary {
    /// Returns the setting's name in configuration and in the hooks' command lines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Problems => "problems",
            Self::Always => "always",
        }
    }

    /// Returns the setting of that name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Never, Self::Problems, Self::Always]
            .into_iter()
            .find(|setting| setting.name() == name)
    }
}

impl FlavorName {
    /// Returns the flavor's name in configuration, log and report.
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
