//! The choice of the storage driver.

use std::path::Path;

use tracing::{info, warn};

use super::probe;
use crate::config::Driver;
use linux::probe::{ProbeError, ProbeResult};

/// Returns the first driver that works at `graph_root`, or the configured one. The error is the reason why that does not work.
pub(super) fn choose(wanted: Driver, graph_root: &Path) -> Result<Driver, String> {
    choose_by(wanted, |driver| attempt(driver, graph_root))
}

fn choose_by(
    wanted: Driver,
    attempt: impl Fn(Driver) -> Result<(), String>,
) -> Result<Driver, String> {
    if wanted != Driver::Auto {
        return attempt(wanted).map(|()| wanted);
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
        assert_eq!(
            choose_by(Driver::Auto, |_| Ok(())).unwrap(),
            Driver::Overlay
        );
        assert_eq!(
            choose_by(Driver::Auto, only(Driver::FuseOverlayfs)).unwrap(),
            Driver::FuseOverlayfs
        );
        assert_eq!(
            choose_by(Driver::Auto, only(Driver::Vfs)).unwrap(),
            Driver::Vfs
        );
    }

    #[test]
    fn configured_driver_is_used_or_refused_with_reason() {
        assert_eq!(
            choose_by(Driver::Vfs, only(Driver::Vfs)).unwrap(),
            Driver::Vfs
        );
        let reason = choose_by(Driver::Overlay, only(Driver::Vfs)).unwrap_err();
        assert_eq!(reason, "EPERM");
    }
}
