//! Probes a storage driver on the real graph root: a child process mounts an overlay and tests it.
//!
//! containers/storage refuses some file systems by name. This module refuses the same names.

mod overlay_test;

pub use overlay_test::child;
use overlay_test::{FUSE_OVERLAYFS, OVERLAY};

use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;

use linux::filesystem::{self, FsType};
use linux::probe::{self, Probe, ProbeError, ProbeResult};
use linux::scratch::Scratch;

/// A probe takes about 20 ms. The limit is generous, because a slow node is not a broken one.
const LIMIT: Duration = Duration::from_secs(5);

/// Probes the kernel's overlay file system in a user namespace on `graph_root`.
///
/// # Errors
/// [`ProbeError`] if the probe itself did not work.
pub(crate) fn overlay(graph_root: &Path) -> Result<ProbeResult, ProbeError> {
    let found = filesystem::fs_type(linux::scratch::nearest_existing(graph_root));
    match found.map(|kind| (kind, is_refused_by_name(kind))) {
        Ok((kind, true)) => {
            let call = format!("mount(overlay) on {}", kind.name());
            Ok(ProbeResult::refused(call, Errno::EINVAL))
        }
        _ => run(OVERLAY, graph_root),
    }
}

/// Probes fuse-overlayfs in a user namespace on `graph_root`.
///
/// # Errors
/// [`ProbeError`] if the probe itself did not work.
pub(crate) fn fuse_overlayfs(graph_root: &Path) -> Result<ProbeResult, ProbeError> {
    run(FUSE_OVERLAYFS, graph_root)
}

/// Whether Buildah refuses the driver overlay on this kind of file system. Source: `Init` and `isNetworkFileSystem` in containers/storage, drivers/overlay/overlay.go.
fn is_refused_by_name(kind: FsType) -> bool {
    matches!(kind, FsType::Stacked(_) | FsType::Network(_))
}

fn run(name: &'static str, graph_root: &Path) -> Result<ProbeResult, ProbeError> {
    let scratch = match Scratch::create_in(graph_root) {
        Ok(scratch) => scratch,
        Err(error) => {
            let call = format!("mkdir in {}", graph_root.display());
            return Ok(ProbeResult::refused(call, error));
        }
    };
    let probe = Probe {
        name,
        arguments: vec![scratch.path().into()],
        forked: Some(|name, arguments| {
            let path = arguments.first().map(Path::new);
            probe::print_result(path.and_then(|path| child(name, path)))
        }),
        mapped: true,
        timeout: LIMIT,
    };
    probe.run()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_that_buildah_refuses_are_not_probed() {
        assert!(is_refused_by_name(FsType::Stacked("overlay")));
        assert!(is_refused_by_name(FsType::Network("NFS")));
        assert!(!is_refused_by_name(FsType::Memory));
        assert!(!is_refused_by_name(FsType::Other(0xef53)));
    }
}
