//! The wipes of one run: before the job for what a killed run left, and after it within the grace period.

use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::workspace;
use init::signals::Signals;

/// Records the current mounts of the directories that are to be wiped.
pub(super) fn mounted(config: &Config) -> wipe::MountSnapshot {
    wipe::snapshot_mounts(&workspace::wiped(config))
}

/// Empties every directory of the job.
pub(super) fn all(
    config: &Config,
    budget: Duration,
    before: Option<&wipe::MountSnapshot>,
    deadline: wipe::Deadline,
) -> wipe::WipeOutcome {
    wipe::empty(&wipe::WipeRequest {
        paths: &workspace::wiped(config),
        files_first: &[config.workspace.home()],
        budget,
        deadline,
        before,
    })
}

/// Wipes before the job. Mostly the directories are empty, and checking that is faster than a wipe.
pub(super) fn found(
    config: &Config,
    before: Option<&wipe::MountSnapshot>,
    request: &TerminationRequest,
) -> wipe::WipeOutcome {
    let nothing = || (workspace::wiped(config).iter()).all(|root| is_empty(root));
    // Without a snapshot, mounts on an empty directory must be detached too.
    if before.is_some() && nothing() {
        return wipe::WipeOutcome::default();
    }
    let deadline = || request.at().map(|_| Duration::ZERO);
    all(config, config.wipe.budget, before, &deadline)
}

/// Lists the leftovers in the directories that the job works in, as text. Other directories and mounts belong to the pod.
pub(super) fn blocking_leftovers(config: &Config, left: &[wipe::Leftover]) -> Option<String> {
    let workspace = &config.workspace;
    let own = [
        workspace.work(),
        workspace.home(),
        workspace.temporary(),
        config.graph_root(),
    ];
    let is_own = |left: &&wipe::Leftover| own.iter().any(|own| left.path.starts_with(own));
    let left: Vec<String> = (left.iter())
        .filter(is_own)
        .filter(|left| !left.excused)
        .map(ToString::to_string)
        .collect();
    (!left.is_empty()).then(|| left.join(", "))
}

/// Whether the path does not exist, or is an empty directory without user attributes. A symlink is not empty.
fn is_empty(root: &Path) -> bool {
    match root.symlink_metadata() {
        Ok(found) if found.is_dir() => {
            let empty = std::fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_none());
            empty && !wipe::may_have_user_attributes(root)
        }
        Ok(_) => false,
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// The time of the first request to end, also if it arrives during the wipe. Several threads read it.
pub(super) struct TerminationRequest<'a> {
    signals: &'a Signals,
    at: OnceLock<Instant>,
}

impl<'a> TerminationRequest<'a> {
    pub(super) fn new(signals: &'a Signals, at: Option<Instant>) -> Self {
        Self {
            signals,
            at: at.map_or_else(OnceLock::new, OnceLock::from),
        }
    }

    pub(super) fn at(&self) -> Option<Instant> {
        if self.at.get().is_none() && self.signals.terminated_early() {
            let _ = self.at.set(Instant::now());
        }
        self.at.get().copied()
    }
}

/// Returns what is left of the kubelet's grace period, less one second for the report.
pub(super) fn remaining_time(config: &Config, asked_at: Instant) -> Duration {
    let grace = config.termination_grace_period;
    let end = grace.saturating_sub(Duration::from_secs(1));
    end.saturating_sub(asked_at.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wipe::Leftover;

    fn left(path: &str, excused: bool) -> Leftover {
        Leftover {
            path: path.into(),
            cause: "EBUSY".to_owned(),
            excused,
        }
    }

    #[test]
    fn blocking_leftovers_lists_only_what_the_job_would_find() {
        let mut config = Config::default();
        config.workspace.path = "/mnt/ws".into();
        let blocking_leftovers =
            |path: &str, excused| blocking_leftovers(&config, &[left(path, excused)]);
        assert_eq!(
            blocking_leftovers("/mnt/ws/home/file", false).as_deref(),
            Some("/mnt/ws/home/file: EBUSY")
        );
        // A path that looks like an error name still counts.
        assert!(blocking_leftovers("/mnt/ws/work/a: EXDEV (b", false).is_some());
        assert_eq!(blocking_leftovers("/mnt/ws/home.old/file", false), None);
        assert_eq!(blocking_leftovers("/dev/shm/file", false), None);
        assert_eq!(blocking_leftovers("/mnt/ws/home/.cache", true), None);
    }
}
