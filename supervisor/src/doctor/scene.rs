//! What is looked at: the configuration, and what this container has to do.

use std::collections::BTreeMap;
use std::path::Path;

use nix::unistd::{getgid, getuid};
use serde::{Deserialize, Serialize};

use super::check::Duty;
use crate::config::{Config, Driver};
use crate::secrets;
use linux::cleanup_watchdog::CleanupWatchdog;
use linux::passwd;

/// How the pod is made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// The runner asks a builder container to build.
    Split,
    /// One container runs the job and builds.
    Single,
}

/// Which container of the pod this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs the job.
    Runner,
    /// Builds images for it.
    Builder,
}

/// What the nodes allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Pods with `hostUsers: false`.
    Userns,
    /// Unprivileged user namespaces on the node.
    Rootless,
}

/// Everything that a check may look at. It reaches the check's child through a pipe.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Scene {
    /// The effective configuration.
    pub config: Config,
    /// How the pod is made up.
    pub shape: Shape,
    /// Which container of it this is.
    pub role: Role,
    /// What the nodes are said to allow, if it was said.
    pub profile: Option<Profile>,
    /// Hosts that must be reachable, `HOST[:PORT]`.
    pub reach: Vec<String>,
    /// Whether guards stand behind trials. Before a job none does: the time is short, the volume the job's own, and the
    /// next trial sweeps what one that was killed left.
    pub guarded: bool,
    /// Values that earlier checks found, by id.
    pub values: BTreeMap<String, String>,
}

impl Scene {
    /// The scene of a configuration: without a storage driver nothing is built here.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let builds = config.storage.driver != Driver::None;
        Self {
            config: config.clone(),
            shape: if builds { Shape::Single } else { Shape::Split },
            role: Role::Runner,
            profile: None,
            reach: Vec::new(),
            guarded: true,
            values: BTreeMap::new(),
        }
    }

    /// Why a duty is none of this container's, if it is not.
    pub(super) fn excused(&self, duty: Duty) -> Option<&'static str> {
        let builds = self.role == Role::Builder || self.shape == Shape::Single;
        match duty {
            Duty::Builds if !builds => {
                Some("this container does not build images: the pod's builder does")
            }
            // A builder that does not build is no excuse, but what storage.driver finds.
            Duty::Builds
                if self.config.storage.driver == Driver::None && self.role == Role::Runner =>
            {
                Some("this container does not build images: storage.driver is none")
            }
            Duty::Job if self.role == Role::Builder => Some("this container does not run the job"),
            _ => None,
        }
    }

    /// Why staged secrets are not there to be looked at, in the container of a job that runs. Before a job its own would
    /// be somebody else's.
    pub(super) fn secrets_taken(&self) -> Option<&'static str> {
        let taken = self.guarded && secrets::are_taken(&self.config);
        taken.then_some("taken in already, by the job that runs here")
    }

    /// A guard over what a trial makes in `place`.
    pub(super) fn guard(&self, place: &Path) -> Option<CleanupWatchdog> {
        self.guarded.then(|| CleanupWatchdog::start(place))
    }

    /// What every cure may name.
    pub(super) fn fills(&self) -> impl Iterator<Item = (&'static str, String)> {
        let show = |path: &Path| path.display().to_string();
        [
            ("uid", getuid().to_string()),
            ("gid", getgid().to_string()),
            ("user", user()),
            ("workspace", show(&self.config.workspace.path)),
            ("graph_root", show(&self.config.graph_root())),
            ("secrets", show(&self.config.secrets.directory)),
            ("runtime", show(&self.config.runtime_directory)),
        ]
        .into_iter()
    }
}

/// Our name, or our number where nobody has it.
pub(super) fn user() -> String {
    let found = passwd::user(getuid().as_raw());
    found.map_or_else(|| getuid().to_string(), |user| user.name)
}

/// The home that /etc/passwd names for us.
pub(super) fn home() -> Option<std::path::PathBuf> {
    passwd::user(getuid().as_raw()).map(|user| user.home)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Private;

    #[test]
    fn secrets_are_taken_once_the_job_has_them_but_never_before_a_job() {
        let runtime = tempfile::tempdir().unwrap();
        let config = Config {
            runtime_directory: runtime.path().join("run"),
            ..Config::default()
        };
        let scene = Scene::of(&config);
        assert_eq!(scene.secrets_taken(), None);
        secrets::note_taken(&Private::of(&config));
        assert!(scene.secrets_taken().is_some());
        let preflight = Scene {
            guarded: false,
            ..scene
        };
        assert_eq!(preflight.secrets_taken(), None);
    }
}
