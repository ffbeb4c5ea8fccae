//! The launcher's own exit codes, after sysexits.h; with `--wait`, a job's code is passed on instead.

use crate::create::{Cause as ClusterCause, ClusterError};
use crate::launch::LaunchError;
use crate::tokens::github::{Cause as GithubCause, GithubError};

/// The command line is wrong.
pub const USAGE: u8 = 64;
/// GitHub or the cluster refuses, or is not there.
pub const UNAVAILABLE: u8 = 69;
/// It may go better later: a rate limit, a quota, no connection.
pub const TEMPORARY: u8 = 75;
/// A credential is refused, or lacks a right.
pub const NO_PERMISSION: u8 = 77;
/// Template, patch or configuration is wrong.
pub const CONFIG: u8 = 78;
/// Interrupted, as the shell has it for SIGINT.
pub const INTERRUPTED: u8 = 130;

/// The code for a failed launch.
#[must_use]
pub fn of(error: &LaunchError) -> u8 {
    match error {
        LaunchError::Github(error) => of_github(error),
        LaunchError::Cluster(error) => of_cluster(error),
        LaunchError::Foreign { .. } => UNAVAILABLE,
        LaunchError::Left { failure, .. } => of(failure),
    }
}

fn of_github(error: &GithubError) -> u8 {
    match error.cause {
        GithubCause::Unauthorized | GithubCause::Forbidden => NO_PERMISSION,
        GithubCause::NotFound | GithubCause::Refused | GithubCause::Local => CONFIG,
        GithubCause::Limited | GithubCause::Unavailable => TEMPORARY,
        GithubCause::Exists | GithubCause::Malformed => UNAVAILABLE,
    }
}

fn of_cluster(error: &ClusterError) -> u8 {
    match error.cause {
        ClusterCause::Unauthorized | ClusterCause::Forbidden => NO_PERMISSION,
        ClusterCause::Config | ClusterCause::Invalid | ClusterCause::Immutable => CONFIG,
        ClusterCause::Limited | ClusterCause::Unavailable => TEMPORARY,
        ClusterCause::Denied | ClusterCause::NotFound | ClusterCause::Conflict => UNAVAILABLE,
    }
}
