//! Buildah's storage: the best driver that works here, and the files that say so to Buildah.

mod files;
pub mod probe;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tracing::{info, warn};

use crate::config::{Config, Driver};
use crate::workspace::{Private, WorkspaceError};
pub(crate) use files::driver_name;
use linux::filesystem;
use linux::probe::{ProbeError, ProbeResult};
use linux::process::Identity;

/// Why there is no storage for builds.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// A directory or file could not be made.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    /// No volume is mounted where the layers are to lie.
    #[error(
        "{} lies on the container's own root; mount a volume at {} (in a pod: emptyDir or a generic ephemeral volume)",
        graph_root.display(), volume.display()
    )]
    NoVolume {
        /// The directory that was to hold the layers.
        graph_root: PathBuf,
        /// The workspace.
        volume: PathBuf,
    },
    /// The driver that the configuration forces does not work here.
    #[error("storage.driver {} does not work here: {reason}; let storage.driver be auto, or see `supervisor doctor`", driver.name())]
    Forced {
        /// The driver asked for.
        driver: Driver,
        /// Why not.
        reason: String,
    },
}

/// Storage that is ready for Buildah.
#[derive(Debug)]
pub struct Prepared {
    /// The driver chosen.
    pub driver: Driver,
    /// What points Buildah at its files.
    pub environment: Vec<(OsString, OsString)>,
}

/// Finds the driver by trial, unless it is `found` already, and writes Buildah's files.
///
/// # Errors
/// [`StorageError`] naming the file, or why a forced driver does not work.
pub fn prepare(config: &Config, found: Option<Driver>) -> Result<Prepared, StorageError> {
    if config.storage.driver == Driver::None {
        let environment = Vec::new();
        return Ok(Prepared {
            driver: Driver::None,
            environment,
        });
    }
    let graph_root = config.graph_root();
    std::fs::create_dir_all(&graph_root).map_err(|source| WorkspaceError::Job {
        path: graph_root.clone(),
        volume: config.workspace.path.clone(),
        uid: Identity::filesystem().uid,
        source,
    })?;
    if on_container_root(&graph_root) {
        return Err(StorageError::NoVolume {
            graph_root,
            volume: config.workspace.path.clone(),
        });
    }
    let driver = match found {
        Some(driver) => driver,
        None => choose(config.storage.driver, |driver| attempt(driver, &graph_root))?,
    };
    info!(driver = driver.name(), "storage");
    let environment = files::write(config, driver, &Private::of(config))?;
    Ok(Prepared {
        driver,
        environment,
    })
}

/// Whether `path` lies on the overlay that a container's engine made as its root.
///
/// The kernel's overlay does not stack on it, and what is written there is no volume's to bound or to end.
#[must_use]
pub fn on_container_root(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let root = Path::new("/");
    let device = |path: &Path| std::fs::metadata(path).map(|found| found.dev()).ok();
    let overlay = filesystem::fs_type(root) == Ok(filesystem::FsType::Stacked("overlay"));
    overlay && device(root) == device(path)
}

/// Tries one driver; the reason where it does not work.
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

/// The first driver that works, or the forced one.
fn choose(
    wanted: Driver,
    attempt: impl Fn(Driver) -> Result<(), String>,
) -> Result<Driver, StorageError> {
    if wanted != Driver::Auto {
        let driver = wanted;
        return match attempt(driver) {
            Ok(()) => Ok(driver),
            Err(reason) => Err(StorageError::Forced { driver, reason }),
        };
    }
    for driver in [Driver::Overlay, Driver::FuseOverlayfs] {
        match attempt(driver) {
            Ok(()) => return Ok(driver),
            Err(reason) => info!(driver = driver.name(), reason, "does not work here"),
        }
    }
    warn!(
        "storage driver vfs: every layer is a full copy, builds are slow and large; `supervisor doctor` says what the better drivers need"
    );
    Ok(Driver::Vfs)
}

/// Whether `path` lies in memory: tmpfs or ramfs, statfs(2).
#[must_use]
pub fn in_memory(path: &Path) -> bool {
    filesystem::fs_type(path) == Ok(filesystem::FsType::Memory)
}

/// The directory of Buildah's files beneath the private one.
pub(crate) fn private_files(config: &Config) -> PathBuf {
    config.runtime_directory.join("containers")
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
    fn the_best_working_driver_wins() {
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
    fn a_forced_driver_is_taken_or_refused_with_its_reason() {
        assert_eq!(choose(Driver::Vfs, only(Driver::Vfs)).unwrap(), Driver::Vfs);
        let text = choose(Driver::Overlay, only(Driver::Vfs))
            .unwrap_err()
            .to_string();
        assert!(text.contains("overlay does not work here: EPERM"), "{text}");
    }
}
