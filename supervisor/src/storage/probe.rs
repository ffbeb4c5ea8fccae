//! Whether a storage driver works on the real graph root: mounted and exercised in a child.
//!
//! What containers/storage refuses by name, before it tries, is refused here by the same names.

mod exercise;

pub use exercise::child;
use exercise::{FUSE_OVERLAYFS, OVERLAY};

use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;

use linux::filesystem::{self, Kind};
use linux::scratch::Scratch;
use linux::trial::{self, Trial, TrialError, Verdict};

/// Generous: a trial takes some 20 ms, and a loaded node is no broken one.
const LIMIT: Duration = Duration::from_secs(5);

/// Whether the kernel's overlay file system works in a user namespace on `graph_root`.
///
/// # Errors
/// [`TrialError`] where nothing could be proven.
pub fn overlay(graph_root: &Path) -> Result<Verdict, TrialError> {
    let found = filesystem::kind(linux::scratch::existing(graph_root));
    match found.map(|kind| (kind, refused_by_name(kind))) {
        Ok((kind, true)) => {
            let call = format!("mount(overlay) on {}", kind.name());
            Ok(Verdict::refused(call, Errno::EINVAL))
        }
        _ => run(OVERLAY, graph_root),
    }
}

/// Whether fuse-overlayfs works in a user namespace on `graph_root`.
///
/// # Errors
/// [`TrialError`] where nothing could be proven.
pub fn fuse_overlayfs(graph_root: &Path) -> Result<Verdict, TrialError> {
    run(FUSE_OVERLAYFS, graph_root)
}

/// Source: `Init` and `isNetworkFileSystem` in containers/storage, drivers/overlay/overlay.go.
fn refused_by_name(kind: Kind) -> bool {
    matches!(kind, Kind::Stacked(_) | Kind::Network(_))
}

fn run(name: &'static str, graph_root: &Path) -> Result<Verdict, TrialError> {
    let scratch = match Scratch::beneath(graph_root) {
        Ok(scratch) => scratch,
        Err(error) => {
            let call = format!("mkdir in {}", graph_root.display());
            let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
            return Ok(Verdict::refused(call, errno));
        }
    };
    let trial = Trial {
        name,
        arguments: vec![scratch.path().into()],
        inside: Some(|name, arguments| {
            let path = arguments.first().map(Path::new);
            trial::conclude(path.and_then(|path| child(name, path)))
        }),
        mapped: true,
        limit: LIMIT,
    };
    trial.run()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_buildah_refuses_by_name_is_not_tried() {
        assert!(refused_by_name(Kind::Stacked("overlay")));
        assert!(refused_by_name(Kind::Network("NFS")));
        assert!(!refused_by_name(Kind::Memory));
        assert!(!refused_by_name(Kind::Other(0xef53)));
    }
}
