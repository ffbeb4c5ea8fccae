//! Buildah's storage: the best driver that works here, and Buildah's configuration files.

mod driver;
mod files;
pub mod probe;
mod settings;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tracing::info;

use crate::config::Driver;
use crate::workspace::WorkspaceError;
pub(crate) use files::{driver_name, policy_link};
use linux::filesystem;
use linux::process::Identity;
pub(crate) use settings::Settings;

/// There is no storage for builds.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// A directory or file could not be made.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    /// No volume is mounted at the graph root.
    #[error(
        "{} is on the container's own root; mount a volume at {} (in a pod: emptyDir or a generic ephemeral volume)",
        graph_root.display(), volume.display()
    )]
    NoVolume {
        /// The directory for the layers.
        graph_root: PathBuf,
        /// The workspace.
        volume: PathBuf,
    },
    /// The driver that the configuration requires does not work here.
    #[error("storage.driver = {} does not work here: {reason}; set storage.driver = auto, or run `supervisor doctor`", driver.name())]
    Forced {
        /// The configured driver.
        driver: Driver,
        /// The refused call and its errno.
        reason: String,
    },
}

/// Storage that is ready for Buildah.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The driver that was chosen.
    pub(crate) driver: Driver,
    /// The variables with the paths of Buildah's files.
    pub(crate) environment: Vec<(OsString, OsString)>,
}

/// Chooses the driver and writes Buildah's files. Probes the drivers unless the preflight has already `probed` one.
///
/// # Errors
/// [`StorageError`] with the file, or with the reason why the configured driver does not work.
pub(crate) fn prepare(
    settings: &Settings,
    probed: Option<Driver>,
) -> Result<Prepared, StorageError> {
    if settings.driver == Driver::None {
        let environment = Vec::new();
        return Ok(Prepared {
            driver: Driver::None,
            environment,
        });
    }
    let graph_root = &settings.graph_root;
    let volume = &settings.workspace.path;
    std::fs::create_dir_all(graph_root).map_err(|source| WorkspaceError::Job {
        path: graph_root.clone(),
        volume: volume.clone(),
        uid: Identity::filesystem().uid,
        source,
    })?;
    if on_container_root(graph_root) {
        return Err(StorageError::NoVolume {
            graph_root: graph_root.clone(),
            volume: volume.clone(),
        });
    }
    let driver = match probed {
        Some(driver) => driver,
        None => {
            driver::choose(settings.driver, graph_root).map_err(|reason| StorageError::Forced {
                driver: settings.driver,
                reason,
            })?
        }
    };
    info!(driver = driver.name(), "storage");
    let environment = files::write(settings, driver)?;
    Ok(Prepared {
        driver,
        environment,
    })
}

/// Whether `path` is on the container's root, an overlay that the container engine made.
///
/// The kernel's overlay does not stack on it. No volume limits the files there or removes them.
pub(crate) fn on_container_root(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let root = Path::new("/");
    let device = |path: &Path| std::fs::metadata(path).map(|found| found.dev()).ok();
    let overlay = filesystem::fs_type(root) == Ok(filesystem::FsType::Stacked("overlay"));
    overlay && device(root) == device(path)
}

/// Whether `path` is in memory: tmpfs or ramfs, statfs(2).
pub(crate) fn in_memory(path: &Path) -> bool {
    filesystem::fs_type(path) == Ok(filesystem::FsType::Memory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_driver_is_named_with_its_reason() {
        let refused = StorageError::Forced {
            driver: Driver::Overlay,
            reason: "EPERM".to_owned(),
        };
        let text = refused.to_string();
        assert!(text.contains("overlay does not work here: EPERM"), "{text}");
    }
}
