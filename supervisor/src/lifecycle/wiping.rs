//! The plan of a run's wipes, and the leftovers that keep a job from starting.

use std::time::Duration;

use crate::config::Config;
use crate::outcome::Failure;
use crate::workspace;
use linux::termination_request::{REPORT_TIME, TerminationRequest};
use wipe::WipePlan;

/// Returns the request to end, with what the pod's grace period leaves for the job and the wipe.
pub(super) fn termination_request(grace_period: Duration) -> TerminationRequest {
    TerminationRequest::new(grace_period.saturating_sub(REPORT_TIME))
}

/// Returns the plan of this run's wipes.
pub(super) fn plan<'a>(config: &Config, termination: &'a TerminationRequest) -> WipePlan<'a> {
    WipePlan::new(
        &workspace::wiped(&config.workspace, &config.runtime_directory),
        &[config.workspace.home()],
        config.wipe.budget,
        Some(termination),
    )
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
    let left: Vec<String> = left
        .iter()
        .filter(is_own)
        .filter(|left| !left.excused)
        .map(ToString::to_string)
        .collect();
    (!left.is_empty()).then(|| left.join(", "))
}

/// Decides whether the job may start. A request to end stops the wipe, so the leftovers say nothing then.
pub(super) fn judge(blocking: Option<String>, terminated: bool) -> Result<(), Failure> {
    match blocking {
        _ if terminated => Err(Failure::Terminated),
        Some(left) => Err(Failure::Unwiped(left)),
        None => Ok(()),
    }
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

    #[test]
    fn judge_prefers_the_request_to_end() {
        let left = || Some("/mnt/ws/home/file: ETIME".to_owned());
        assert!(matches!(judge(left(), true), Err(Failure::Terminated)));
        assert!(matches!(judge(left(), false), Err(Failure::Unwiped(_))));
        assert!(judge(None, false).is_ok());
    }
}
