//! The launcher's own exit codes, as in sysexits.h. With `--wait`, the launcher exits with a job's code instead.

use crate::create::{ClusterError, ClusterErrorKind};
use crate::launch::LaunchError;
use crate::tokens::github::{GithubError, GithubErrorKind};

/// The command line is invalid.
pub const USAGE: u8 = 64;
/// GitHub or the cluster rejects a request.
pub const UNAVAILABLE: u8 = 69;
/// The failure may pass: a rate limit, no connection, no response.
pub const TEMPORARY: u8 = 75;
/// A credential is rejected, or lacks a right.
pub const NO_PERMISSION: u8 = 77;
/// The template, a patch or the configuration is invalid.
pub const CONFIG: u8 = 78;
/// The launcher was interrupted: 128 + SIGINT, as shells report it.
pub const INTERRUPTED: u8 = 130;

/// Returns the exit code for a failed launch.
#[must_use]
pub fn of(error: &LaunchError) -> u8 {
    match error {
        LaunchError::Github(error) => of_github(error),
        LaunchError::Cluster(error) => of_cluster(error),
        LaunchError::NameTaken { .. } => UNAVAILABLE,
        LaunchError::RollbackFailed { failure, .. } => of(failure),
    }
}

fn of_github(error: &GithubError) -> u8 {
    match error.kind {
        GithubErrorKind::Unauthorized | GithubErrorKind::Forbidden => NO_PERMISSION,
        GithubErrorKind::NotFound | GithubErrorKind::Invalid | GithubErrorKind::Local => CONFIG,
        GithubErrorKind::Limited | GithubErrorKind::Unavailable => TEMPORARY,
        GithubErrorKind::Exists | GithubErrorKind::Malformed => UNAVAILABLE,
    }
}

fn of_cluster(error: &ClusterError) -> u8 {
    match error.kind {
        ClusterErrorKind::Unauthorized | ClusterErrorKind::Forbidden => NO_PERMISSION,
        ClusterErrorKind::Config | ClusterErrorKind::Invalid | ClusterErrorKind::Immutable => {
            CONFIG
        }
        ClusterErrorKind::Limited | ClusterErrorKind::Unavailable => TEMPORARY,
        ClusterErrorKind::Denied | ClusterErrorKind::NotFound | ClusterErrorKind::Conflict => {
            UNAVAILABLE
        }
    }
}
