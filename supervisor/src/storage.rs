//! Buildah's storage: the best driver that works here, and Buildah's configuration files.

mod files;
pub mod probe;
mod settings;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tracing::{info, warn};

use crate::config::Driver;
use crate::workspace::WorkspaceError;
pub(crate) use files::{driver_name, policy_link};
use linux::filesystem;
use linux::probe::{ProbeError, ProbeResult};
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
        None => choose(settings.driver, |driver| attempt(driver, graph_root))?,
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

/// Probes one driver. The error is the reason why it does not work.
fn attempt(driver: Driver, graph_root: &Path) -> Result<(), String> {
    let verdict = match driver {
        Driver::Overlay => probe::overlay(graph_root),
        Driver::FuseOverlayfs => probe::fuse_overlayfs(graph_root),
        Driver::Vfs | Driver::Auto | Driver::None => return Ok(()),
    };
    explain(verdict)
}

fn explain(verdict: Result<ProbeResult, ProbeError>) -> Result<(), String> {
    match verdict {
        Ok(ProbeResult::Works) => Ok(()),
        Ok(ProbeResult::Refused { call, errno }) => {
            let errno = nix::errno::Errno::from_raw(errno);
            Err(format!("{call}: {errno}"))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Returns the first driver that works, or the configured one.
fn choose(
    wanted: Driver,
    attempt: impl Fn(Driver) -> Result<(), String>,
) -> Result<Driver, StorageError> {
    if wanted != Driver::Auto {
        return match attempt(wanted) {
            Ok(()) => Ok(wanted),
            Err(reason) => Err(StorageError::Forced {
                driver: wanted,
                reason,
            }),
        };
    }
    for driver in [Driver::Overlay, Driver::FuseOverlayfs] {
        match attempt(driver) {
            Ok(()) => return Ok(driver),
            Err(reason) => info!(
                driver = driver.name(),
                reason, "storage driver does not work here"
            ),
        }
    }
    warn!(
        "storage driver vfs: every layer is a full copy, builds are slow and large; `supervisor doctor` lists what the better drivers need"
    );
    Ok(Driver::Vfs)
}

/// Whether `path` is in memory: tmpfs or ramfs, statfs(2).
pub(crate) fn in_memory(path: &Path) -> bool {
    filesystem::fs_type(path) == Ok(filesystem::FsType::Memory)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(works: Driver) -> impl Fn(Driver) -> Result<(), String> {
        move |driver| {
            if driver == works {
                Ok(())
            } else {
                Err("EPERM".to_owned())
            }
        }
    }

    #[test]
    fn best_working_driver_is_chosen() {
        assert_eq!(choose(Driver::Auto, |_| Ok(())).unwrap(), Driver::Overlay);
        assert_eq!(
            choose(Driver::Auto, only(Driver::FuseOverlayfs)).unwrap(),
            Driver::FuseOverlayfs
        );
        assert_eq!(
            choose(Driver::Auto, only(Driver::Vfs)).unwrap(),
            Driver::Vfs
        );
    }

    #[test]
    fn configured_driver_is_used_or_refused_with_reason() {
        assert_eq!(choose(Driver::Vfs, only(Driver::Vfs)).unwrap(), Driver::Vfs);
        let text = choose(Driver::Overlay, only(Driver::Vfs))
            .unwrap_err()
            .to_string();
        assert!(text.contains("overlay does not work here: EPERM"), "{text}");
    }
}
