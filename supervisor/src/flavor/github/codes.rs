//! The exit codes of `Runner.Listener`.
//!
//! Source: actions/runner, `Constants.Runner.ReturnCode` (0 to 7), and `TaskResultUtil`: a job's result is 100 and its
//! number in the enumeration `TaskResult`.

use crate::flavor::runner::Verdict;
use init::reap::Ended;
use report::Reason;

/// What an exit code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Success,
    Terminated,
    Retryable,
    Updating,
    SessionConflict,
    Refreshed,
    VersionDeprecated,
    Job(JobResult),
    Unknown,
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JobResult {
    Succeeded,
    SucceededWithIssues,
    Failed,
    Canceled,
    Skipped,
    Abandoned,
}

pub(super) fn meaning(code: u8) -> Meaning {
    match code {
        0 => Meaning::Success,
        1 => Meaning::Terminated,
        2 => Meaning::Retryable,
        3 | 4 => Meaning::Updating,
        5 => Meaning::SessionConflict,
        6 => Meaning::Refreshed,
        7 => Meaning::VersionDeprecated,
        100 => Meaning::Job(JobResult::Succeeded),
        101 => Meaning::Job(JobResult::SucceededWithIssues),
        102 => Meaning::Job(JobResult::Failed),
        103 => Meaning::Job(JobResult::Canceled),
        104 => Meaning::Job(JobResult::Skipped),
        105 => Meaning::Job(JobResult::Abandoned),
        _ => Meaning::Unknown,
    }
}

impl JobResult {
    /// The name in the report.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::SucceededWithIssues => "succeeded_with_issues",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Skipped => "skipped",
            Self::Abandoned => "abandoned",
        }
    }

    pub(super) fn is_success(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::SucceededWithIssues | Self::Skipped
        )
    }
}

impl Meaning {
    /// Whether another start may help.
    pub(super) fn may_pass(self) -> bool {
        matches!(self, Self::Retryable | Self::Refreshed)
    }

    /// A sentence for people.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Success => "the runner ended without a job",
            Self::Terminated => {
                "the runner gave up, see its words above: its configuration or registration is not valid"
            }
            Self::Retryable => "the runner failed in a way that may pass",
            Self::Updating => {
                "the runner wants to update itself, which an image's runner must not; build the image with the new version"
            }
            Self::SessionConflict => {
                "another runner of this name is connected; give each pod a name of its own"
            }
            Self::Refreshed => "the runner's configuration was refreshed",
            Self::VersionDeprecated => {
                "GitHub no longer takes this version of the runner; build the image with a newer one"
            }
            Self::Job(_) => "the job is done",
            Self::Unknown => "the runner ended in a way that it does not document",
        }
    }
}

/// The end of a runner that is not started again. With `exit_with_job`, the exit code follows the job's result.
pub(super) fn verdict(
    exit_with_job: bool,
    ended: Ended,
    meaning: Meaning,
    had_job: bool,
) -> Verdict {
    let reason = match meaning {
        Meaning::Job(result) => return of_job(exit_with_job, ended, result),
        Meaning::Unknown => return Verdict::of_code(ended.code()),
        Meaning::Success if had_job => {
            return Verdict::because(0, Reason::Completed, "the job is done");
        }
        // Whatever the code says elsewhere: no other start brings this job back.
        Meaning::Terminated | Meaning::Retryable | Meaning::Refreshed if had_job => {
            let sentence = "the runner gave up in the midst of its job, see its words above";
            return Verdict::because(ended.code(), Reason::RunnerError, sentence);
        }
        Meaning::Success => Reason::Completed,
        Meaning::Terminated => Reason::RunnerError,
        Meaning::Retryable | Meaning::Refreshed => Reason::RetriesExhausted,
        Meaning::Updating => Reason::Updating,
        Meaning::SessionConflict => Reason::SessionConflict,
        Meaning::VersionDeprecated => Reason::VersionDeprecated,
    };
    Verdict::because(ended.code(), reason, meaning.text())
}

/// A runner whose registration GitHub has deleted before a job came.
pub(super) fn unregistered(ended: Ended) -> Verdict {
    let code = ended.code();
    let reason = if code == 0 {
        Reason::Completed
    } else {
        Reason::RunnerError
    };
    let sentence =
        "GitHub has deleted the runner's registration, and no job came; register another one";
    Verdict::because(code, reason, sentence)
}

/// A job's failure concerns only GitHub: the pod did its work, unless `github.exit_with_job` is set.
fn of_job(exit_with_job: bool, ended: Ended, result: JobResult) -> Verdict {
    let code = if exit_with_job && !result.is_success() {
        ended.code()
    } else {
        0
    };
    let reason = if code == 0 {
        Reason::Completed
    } else {
        Reason::Failed
    };
    Verdict::because(code, reason, format!("the job ended: {}", result.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(code: u8, exit_with_job: bool) -> (u8, Option<Reason>) {
        let verdict = verdict(exit_with_job, Ended::Exited(code), meaning(code), false);
        (verdict.code, verdict.reason)
    }

    #[test]
    fn names_the_job_as_lost_if_the_runner_ends_during_it() {
        for code in [1, 2, 6] {
            let verdict = verdict(false, Ended::Exited(code), meaning(code), true);
            assert_eq!(
                (verdict.code, verdict.reason),
                (code, Some(Reason::RunnerError))
            );
            assert!(verdict.message.unwrap().contains("in the midst of its job"));
        }
        let done = verdict(false, Ended::Exited(0), meaning(0), true);
        assert_eq!(done.message.as_deref(), Some("the job is done"));
    }

    #[test]
    fn each_code_has_its_own_reason() {
        assert_eq!(read(0, false), (0, Some(Reason::Completed)));
        assert_eq!(read(1, false), (1, Some(Reason::RunnerError)));
        assert_eq!(read(2, false), (2, Some(Reason::RetriesExhausted)));
        assert_eq!(read(3, false), (3, Some(Reason::Updating)));
        assert_eq!(read(4, false), (4, Some(Reason::Updating)));
        assert_eq!(read(5, false), (5, Some(Reason::SessionConflict)));
        assert_eq!(read(7, false), (7, Some(Reason::VersionDeprecated)));
        assert_eq!(read(77, false), (77, None));
    }

    #[test]
    fn a_jobs_failure_is_the_pods_only_where_it_was_asked_to_be() {
        assert_eq!(read(102, false), (0, Some(Reason::Completed)));
        assert_eq!(read(102, true), (102, Some(Reason::Failed)));
        assert_eq!(read(103, true), (103, Some(Reason::Failed)));
        assert_eq!(read(101, true), (0, Some(Reason::Completed)));
        assert_eq!(read(100, true), (0, Some(Reason::Completed)));
    }
}
