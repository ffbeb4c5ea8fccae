//! The input of every check: the configuration, and the work that this container has to do.

use std::collections::BTreeMap;
use std::path::Path;

use nix::unistd::{getgid, getuid};
use serde::{Deserialize, Serialize};

use super::duty::Duty;
use crate::config::{Config, Driver};
use crate::secrets;
use crate::workspace::RuntimeDir;
use linux::cleanup_watchdog::CleanupWatchdog;
use linux::passwd;

/// The shape of the pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// The runner's container sends its builds to the builder's container.
    Split,
    /// One container runs the job and builds.
    Single,
}

/// The role of this container in the pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs the job.
    Runner,
    /// Builds images for the job.
    Builder,
}

/// The kind of user namespace that the nodes offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Pods with `hostUsers: false`.
    Userns,
    /// Unprivileged user namespaces on the node.
    Rootless,
}

/// The input of every check. It reaches the child process through a pipe.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Context {
    /// The effective configuration.
    pub config: Config,
    /// The shape of the pod.
    pub shape: Shape,
    /// The role of this container.
    pub role: Role,
    /// What the nodes should offer, if the user named it.
    pub profile: Option<Profile>,
    /// Hosts that must be reachable, `HOST[:PORT]`.
    pub reach: Vec<String>,
    /// Whether a watchdog cleans up after each probe. Before a job there is no watchdog: time is short, and the volume is the
    /// job's own. The next probe removes what a killed one left.
    pub watchdogs: bool,
    /// Values of earlier checks, by id.
    pub values: BTreeMap<String, String>,
}

impl Context {
    /// Returns the context for a configuration. Without a storage driver this container builds nothing.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let builds = config.storage.driver != Driver::None;
        Self {
            config: config.clone(),
            shape: if builds { Shape::Single } else { Shape::Split },
            role: Role::Runner,
            profile: None,
            reach: Vec::new(),
            watchdogs: true,
            values: BTreeMap::new(),
        }
    }

    /// Returns the reason why a duty does not apply to this container; `None` if it applies.
    pub(super) fn excused(&self, duty: Duty) -> Option<&'static str> {
        let builds = self.role == Role::Builder || self.shape == Shape::Single;
        match duty {
            Duty::Builds if !builds => {
                Some("this container does not build images: the pod's builder does")
            }
            // `storage.driver = none` excuses a runner only. In a builder it is the finding of the check storage.driver.
            Duty::Builds
                if self.config.storage.driver == Driver::None && self.role == Role::Runner =>
            {
                Some("this container does not build images: storage.driver = none")
            }
            Duty::Job if self.role == Role::Builder => Some("this container does not run the job"),
            _ => None,
        }
    }

    /// Returns the reason why there are no staged secrets to check: a job in this container has them. Before a job it
    /// returns `None`, because then the mark is an earlier job's.
    pub(super) fn secrets_taken(&self) -> Option<&'static str> {
        let taken =
            self.watchdogs && secrets::are_taken(&RuntimeDir::new(&self.config.runtime_directory));
        taken.then_some("already taken by the job that runs here")
    }

    /// Starts a watchdog for what a probe makes in `place`.
    pub(super) fn guard(&self, place: &Path) -> Option<CleanupWatchdog> {
        self.watchdogs.then(|| CleanupWatchdog::start(place))
    }

    /// The names that every remedy may use, with their values.
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

/// Returns our user name, or our uid if /etc/passwd does not have it.
pub(super) fn user() -> String {
    let found = passwd::user(getuid().as_raw());
    found.map_or_else(|| getuid().to_string(), |user| user.name)
}

/// Returns our home directory as /etc/passwd has it.
pub(super) fn home() -> Option<std::path::PathBuf> {
    passwd::user(getuid().as_raw()).map(|user| user.home)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_count_as_taken_in_a_job_but_not_before_it() {
        let runtime = tempfile::tempdir().unwrap();
        let config = Config {
            runtime_directory: runtime.path().join("run"),
            ..Config::default()
        };
        let context = Context::of(&config);
        assert_eq!(context.secrets_taken(), None);
        secrets::mark_taken(&RuntimeDir::new(&config.runtime_directory));
        assert!(context.secrets_taken().is_some());
        let preflight = Context {
            watchdogs: false,
            ..context
        };
        assert_eq!(preflight.secrets_taken(), None);
    }
}
