//! Whether a storage driver works on the real graph root: mounted and exercised in a child.
//!
//! What containers/storage refuses by name, before it tries, is refused here by the same names.

mod exercise;

pub use exercise::child;

use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;

use linux::filesystem::{self, FsType};
use linux::probe::{self, Probe, ProbeError, ProbeResult};
use linux::scratch::Scratch;

/// The trial of the kernel's overlay file system.
pub const OVERLAY: &str = "overlay";
/// The trial of fuse-overlayfs.
pub const FUSE_OVERLAYFS: &str = "fuse-overlayfs";

/// Generous: a trial takes some 20 ms, and a loaded node is no broken one.
const LIMIT: Duration = Duration::from_secs(5);

/// Whether the kernel's overlay file system works in a user namespace on `graph_root`.
///
/// # Errors
/// [`ProbeError`] where nothing could be proven.
pub fn overlay(graph_root: &Path) -> Result<ProbeResult, ProbeError> {
    let found = filesystem::fs_type(linux::scratch::nearest_existing(graph_root));
    match found.map(|kind| (kind, refused_by_name(kind))) {
        Ok((kind, true)) => {
            let call = format!("mount(overlay) on {}", kind.name());
            Ok(ProbeResult::refused(call, Errno::EINVAL))
        }
        _ => run(OVERLAY, graph_root),
    }
}

/// Whether fuse-overlayfs works in a user namespace on `graph_root`.
///
/// # Errors
/// [`ProbeError`] where nothing could be proven.
pub fn fuse_overlayfs(graph_root: &Path) -> Result<ProbeResult, ProbeError> {
    run(FUSE_OVERLAYFS, graph_root)
}

/// Source: `Init` and `isNetworkFileSystem` in containers/storage, drivers/overlay/overlay.go.
fn refused_by_name(kind: FsType) -> bool {
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
    fn what_buildah_refuses_by_name_is_not_tried() {
        assert!(refused_by_name(FsType::Stacked("overlay")));
        assert!(refused_by_name(FsType::Network("NFS")));
        assert!(!refused_by_name(FsType::Memory));
        assert!(!refused_by_name(FsType::Other(0xef53)));
    }
}
