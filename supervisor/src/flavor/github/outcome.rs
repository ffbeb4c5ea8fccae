//! How a listener and its worker ended, and which result GitHub received.

use nix::sys::signal::Signal;

use super::codes::{self, JobResult, Meaning};
use crate::flavor::runner::Verdict;
use init::reap::Ended;
use init::supervise::Watched;
use init::terminate::Cause;
use report::Reason;
use report::exit;

/// How the runner ended, and what that says. A worker that outlived its listener, or whose listener would not end, says how
/// its job ended by its own code.
pub(super) fn last_word(watched: &Watched) -> (Ended, Meaning) {
    let meaning = |ended| match ended {
        Ended::Exited(code) => codes::meaning(code),
        Ended::Signaled(_) => Meaning::Unknown,
    };
    let listener = (watched.ended, meaning(watched.ended));
    let worker = watched.worker.map(|ended| (ended, meaning(ended)));
    match (listener, worker) {
        ((_, Meaning::Job(_)), _) => listener,
        (_, Some(worker @ (_, Meaning::Job(_)))) => worker,
        _ => listener,
    }
}

/// Returns the job's result that GitHub received. The worker sends it and passes it to the listener, or the listener sends it instead.
/// An interrupted listener ends with 0 and calls the job canceled on its console, but the worker sends `failed`.
pub(super) fn reported_result(watched: &Watched, meaning: Meaning) -> Option<JobResult> {
    match meaning {
        Meaning::Job(result) => Some(result),
        Meaning::Success if watched.interrupted => Some(JobResult::Failed),
        // A worker that ended its job by SIGTERM has reported it, and ends with 143 as often as not.
        _ if watched.interrupted && matches!(watched.worker, Some(Ended::Exited(_))) => {
            Some(JobResult::Failed)
        }
        _ => None,
    }
}

pub(super) fn reason(cause: Cause) -> Reason {
    match cause {
        Cause::Requested => Reason::Terminated,
        Cause::Deadline => Reason::Deadline,
        Cause::Idle => Reason::Idle,
        Cause::Lingering | Cause::Alone => Reason::RunnerError,
        Cause::Unreachable => Reason::Unreachable,
    }
}

/// The end was asked for, or no job came: the runner's own code no longer counts.
pub(super) fn terminated(cause: Cause) -> Verdict {
    match cause {
        Cause::Idle => Verdict::because(0, Reason::Idle, "no job came within github.idle_timeout"),
        Cause::Deadline => Verdict::of_code(exit::from_signal(Signal::SIGTERM as i32)),
        Cause::Requested => Verdict::terminated(),
        Cause::Unreachable => Verdict::because(
            exit::UNAVAILABLE,
            Reason::Unreachable,
            "the runner did not reach GitHub within github.connect_timeout, see its words above; look at network policies, the proxy variables, and runner.ca_bundle",
        ),
        Cause::Alone => Verdict::because(
            exit::from_signal(Signal::SIGKILL as i32),
            Reason::RunnerError,
            "the runner died in the midst of its job, which was ended after grace",
        ),
        Cause::Lingering => Verdict::because(
            exit::from_signal(Signal::SIGKILL as i32),
            Reason::RunnerError,
            "the runner did not end after its job, and had to be killed",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(listener: Ended, worker: Option<Ended>, interrupted: bool) -> Watched {
        Watched {
            ended: listener,
            cause: None,
            phase: None,
            interrupted,
            worker,
            requested_at: None,
            orphans: 0,
        }
    }

    fn result(listener: Ended, worker: Option<Ended>, interrupted: bool) -> Option<JobResult> {
        let watched = watched(listener, worker, interrupted);
        reported_result(&watched, last_word(&watched).1)
    }

    #[test]
    fn takes_the_workers_result_if_the_listener_has_none() {
        let (killed, failed) = (Ended::Signaled(9), Ended::Exited(102));
        assert_eq!(result(failed, None, false), Some(JobResult::Failed));
        assert_eq!(result(killed, Some(failed), false), Some(JobResult::Failed));
        let succeeded = Some(Ended::Exited(100));
        assert_eq!(result(killed, succeeded, false), Some(JobResult::Succeeded));
        assert_eq!(result(killed, Some(killed), false), None);
        assert_eq!(result(killed, None, true), None);
        let by_sigterm = Some(Ended::Exited(143));
        assert_eq!(result(killed, by_sigterm, true), Some(JobResult::Failed));
        assert_eq!(result(killed, by_sigterm, false), None);
    }

    #[test]
    fn fails_the_job_of_a_listener_that_was_interrupted() {
        assert_eq!(
            result(Ended::Exited(0), None, true),
            Some(JobResult::Failed)
        );
        assert_eq!(result(Ended::Exited(0), None, false), None);
        // Its worker had ended before.
        assert_eq!(
            result(Ended::Exited(100), None, true),
            Some(JobResult::Succeeded)
        );
    }
}
