//! The part of the configuration from which Buildah's storage is prepared.

use std::path::{Path, PathBuf};

use crate::config::{Config, Driver, Workspace};
use crate::workspace::RuntimeDir;

/// The settings of Buildah's storage.
#[derive(Debug)]
pub(crate) struct Settings<'a> {
    /// The configured driver.
    pub(crate) driver: Driver,
    /// The directory of the layers.
    pub(crate) graph_root: PathBuf,
    /// The volume of the layers, with Buildah's HOME.
    pub(crate) workspace: &'a Workspace,
    /// The directory for Buildah's files.
    pub(crate) runtime: RuntimeDir,
    /// Registries of the form `HOST[:PORT]` whose certificates are not verified.
    pub(crate) insecure_registries: &'a [String],
    /// A read-only storage with further images.
    pub(crate) image_store: Option<&'a Path>,
}

impl<'a> Settings<'a> {
    /// Returns the settings of a container that builds in the job's own workspace.
    pub(crate) fn of_job(config: &'a Config) -> Self {
        Self {
            driver: config.storage.driver,
            graph_root: config.graph_root(),
            workspace: &config.workspace,
            runtime: RuntimeDir::new(&config.runtime_directory),
            insecure_registries: &config.storage.insecure_registries,
            image_store: config.builder.image_store.as_deref(),
        }
    }
}
