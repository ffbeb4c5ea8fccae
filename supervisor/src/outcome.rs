//! Turns the outcome of a run into its reason and exit code: the only place where an error becomes a number.

use crate::doctor;
use crate::flavor::{FlavorError, Verdict};
use crate::secrets::SecretsError;
use crate::storage::StorageError;
use init::reap::Ended;
use init::spawn::SpawnError;
use init::terminate::Cause;
use report::exit;
use report::{Reason, Step};

/// Why the job never ran to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// SIGTERM came before the runner was started.
    #[error("asked to end before the job had started")]
    Terminated,
    /// Something of an earlier run is still there, and the job would find it.
    #[error("what an earlier run left in the workspace cannot be wiped: {0}; use a fresh volume")]
    Unwiped(String),
    /// A fatal check failed.
    #[error("preflight: {0}")]
    Preflight(#[from] doctor::PreflightError),
    /// No storage.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// No secrets.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// Nothing to start.
    #[error(transparent)]
    Flavor(#[from] FlavorError),
    /// The runner did not start.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// The kernel refused what an init needs.
    #[error("{what}: {source}")]
    Kernel {
        /// What was tried.
        what: &'static str,
        /// The reason.
        source: std::io::Error,
    },
    /// The kernel gave no more memory. From here on, the emergency allocator serves allocations.
    #[error(
        "memory could not be had: raise the limits on memory and address space (ulimit -v, -d)"
    )]
    Memory,
    /// A defect of ours.
    #[error("a defect of the supervisor: {0}")]
    Panicked(String),
}

impl Failure {
    /// Returns a closure for `map_err` that names the refused operation.
    pub(crate) fn kernel<E: Into<std::io::Error>>(what: &'static str) -> impl Fn(E) -> Self {
        move |error| Self::Kernel {
            what,
            source: error.into(),
        }
    }
}

/// How the job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Job {
    /// The runner's own end.
    pub ended: Ended,
    /// Why it had to end, if it had to.
    pub cause: Option<Cause>,
    /// The flavor's verdict on it.
    pub verdict: Verdict,
}

/// The end of the story.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Conclusion {
    /// Why it ended so.
    pub reason: Reason,
    /// The container's exit code.
    pub code: u8,
    /// The step that failed the run.
    pub failed_step: Option<Step>,
    /// A sentence for people.
    pub message: Option<String>,
}

/// Returns the conclusion from the job's end and from what the wipe left.
///
/// Leftovers change the code only if the job succeeded: they never hide its own failure.
#[must_use]
pub(crate) fn conclude(step: Step, outcome: &Result<Job, Failure>, leftovers: u64) -> Conclusion {
    let job = match outcome {
        Ok(job) => job,
        Err(failure) => return failed(step, failure),
    };
    let code = job.verdict.code;
    let (reason, message) = match (job.cause, code) {
        _ if job
            .verdict
            .reason
            .is_some_and(|reason| reason != Reason::Completed) =>
        {
            (
                job.verdict.reason.unwrap_or(Reason::Failed),
                job.verdict.message.clone(),
            )
        }
        (Some(Cause::Idle), _) => (Reason::Idle, job.verdict.message.clone()),
        (Some(Cause::Lingering | Cause::Alone), _) => {
            (Reason::RunnerError, job.verdict.message.clone())
        }
        (Some(Cause::Unreachable), _) => (Reason::Unreachable, job.verdict.message.clone()),
        (Some(Cause::Deadline), _) => (
            Reason::Deadline,
            Some("the job's deadline was over".to_owned()),
        ),
        (Some(Cause::Requested), _) => (
            Reason::Terminated,
            Some("asked to end by SIGTERM".to_owned()),
        ),
        (None, 0) if leftovers > 0 => {
            let message =
                format!("the job succeeded, but {leftovers} leftovers could not be wiped");
            return Conclusion {
                reason: Reason::Leftovers,
                code: exit::WIPE,
                failed_step: Some(Step::Wipe),
                message: Some(message),
            };
        }
        (None, 0) => (Reason::Completed, job.verdict.message.clone()),
        (None, _) => {
            let message = job.verdict.message.clone();
            (
                Reason::Failed,
                Some(message.unwrap_or_else(|| sentence(job.ended))),
            )
        }
    };
    Conclusion {
        reason,
        code,
        failed_step: (code != 0).then_some(Step::Runner),
        message,
    }
}

fn sentence(ended: Ended) -> String {
    match ended {
        Ended::Exited(code) => format!("the runner ended with exit code {code}"),
        Ended::Signaled(signal) => format!("signal {signal} ended the runner"),
    }
}

fn failed(step: Step, failure: &Failure) -> Conclusion {
    let (reason, code) = match failure {
        Failure::Terminated => (Reason::Terminated, exit::from_signal(nix::libc::SIGTERM)),
        Failure::Unwiped(_) | Failure::Preflight(_) => (Reason::Preflight, exit::PREFLIGHT),
        Failure::Storage(_) => (Reason::Storage, exit::STORAGE),
        Failure::Secrets(_)
        | Failure::Flavor(FlavorError::Secrets(_) | FlavorError::Token { .. }) => {
            (Reason::Secrets, exit::SECRETS)
        }
        Failure::Flavor(FlavorError::Setting { .. }) => (Reason::Config, exit::CONFIG),
        Failure::Spawn(error) => (Reason::CannotStart, error.code()),
        Failure::Kernel { .. } | Failure::Memory | Failure::Panicked(_) => {
            (Reason::Internal, exit::INTERNAL)
        }
    };
    Conclusion {
        reason,
        code,
        failed_step: Some(step),
        message: Some(failure.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(ended: Ended, cause: Option<Cause>) -> Result<Job, Failure> {
        Ok(Job {
            ended,
            cause,
            verdict: Verdict::of_code(ended.code()),
        })
    }

    fn verdict(outcome: &Result<Job, Failure>, leftovers: u64) -> (Reason, u8) {
        let conclusion = conclude(Step::Runner, outcome, leftovers);
        (conclusion.reason, conclusion.code)
    }

    #[test]
    fn leftovers_never_hide_a_failed_job() {
        assert_eq!(
            verdict(&job(Ended::Exited(0), None), 1),
            (Reason::Leftovers, 75)
        );
        assert_eq!(
            verdict(&job(Ended::Exited(3), None), 1),
            (Reason::Failed, 3)
        );
        assert_eq!(
            verdict(&job(Ended::Exited(0), None), 0),
            (Reason::Completed, 0)
        );
    }

    #[test]
    fn the_reason_tells_who_ended_the_job() {
        let signaled = Ended::Signaled(15);
        assert_eq!(
            verdict(&job(signaled, Some(Cause::Requested)), 0),
            (Reason::Terminated, 143)
        );
        assert_eq!(
            verdict(&job(signaled, Some(Cause::Deadline)), 0),
            (Reason::Deadline, 143)
        );
        assert_eq!(verdict(&job(signaled, None), 0), (Reason::Failed, 143));
        assert_eq!(
            verdict(&Err(Failure::Terminated), 0),
            (Reason::Terminated, 143)
        );
    }

    #[test]
    fn the_runners_own_70_is_told_apart_from_ours() {
        assert_eq!(
            verdict(&job(Ended::Exited(70), None), 0),
            (Reason::Failed, 70)
        );
        let ours = Err(Failure::Preflight(doctor::PreflightError::example()));
        assert_eq!(verdict(&ours, 0), (Reason::Preflight, 70));
    }
}
