//! The outcome of a job, from its Job, its pod and its supervisor's report.

use report::{Reason, Report, SCHEMA};
use serde::Serialize;

use super::state::{JobState, PodState, Termination};

/// The container whose exit code is the job's.
pub const RUNNER: &str = "runner";
/// `EX_SOFTWARE`: the job ended without an exit code of its container. The message has the reason.
const UNKNOWN: u8 = 70;
/// `EX_TEMPFAIL`: the job lost its node, or its runner never reached the CI service. Another launch may succeed.
const TEMPORARY: u8 = 75;

/// The outcome of a job.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// The exit code of the runner's container. 75 if the job lost its node or its runner never reached the CI service, 70 if
    /// the container has no exit code.
    pub exit_code: u8,
    /// The reason from the supervisor's report, or Kubernetes' reason.
    pub reason: String,
    /// A message for the user. `None` if the job succeeded without remarks.
    pub message: Option<String>,
    /// The supervisor's report, if it wrote one.
    pub report: Option<Report>,
}

/// Returns the outcome, if neither the Job nor the pod can change any more.
pub(super) fn settled(job: &JobState, pod: Option<&PodState>) -> Option<Outcome> {
    let outcome = so_far(job, pod)?;
    // The watch may still report the pod, or its end.
    (job.deleted || pod.is_some_and(PodState::is_final)).then_some(outcome)
}

/// Returns the outcome as far as it is known, if the Job has ended or was deleted.
pub(super) fn so_far(job: &JobState, pod: Option<&PodState>) -> Option<Outcome> {
    if job.succeeded.is_none() && !job.deleted {
        return None;
    }
    let terminated = pod.and_then(|pod| pod.container(RUNNER)?.terminated.as_ref());
    Some(match terminated {
        Some(terminated) => from_container(terminated, job, pod),
        None => without_container(job, pod),
    })
}

fn from_container(terminated: &Termination, job: &JobState, pod: Option<&PodState>) -> Outcome {
    let report = parse_report(&terminated.message);
    let reason = report
        .as_ref()
        .and_then(|report| serde_json::to_value(report.reason).ok());
    let reason = reason.and_then(|reason| reason.as_str().map(str::to_owned));
    let disrupted = job.reason.as_deref() == Some("PodFailurePolicy");
    let unreachable = report
        .as_ref()
        .is_some_and(|report| report.reason == Reason::Unreachable);
    let by_kubernetes = || kubernetes_message(job, pod).filter(|_| job.succeeded != Some(true));
    let message = match report.as_ref() {
        Some(report) => report.message.clone().or_else(by_kubernetes),
        None if terminated.code == 0 => by_kubernetes(),
        None => by_kubernetes().or_else(|| Some(message_without_report(terminated))),
    };
    Outcome {
        exit_code: match u8::try_from(terminated.code) {
            _ if unreachable => TEMPORARY,
            // A failed Job must not have the exit code 0.
            Ok(0) if job.succeeded == Some(false) => UNKNOWN,
            Ok(code) => code,
            Err(_) => UNKNOWN,
        },
        reason: if disrupted {
            "disrupted".to_owned()
        } else {
            reason.unwrap_or_else(|| terminated.reason.clone())
        },
        message,
        report,
    }
}

fn message_without_report(terminated: &Termination) -> String {
    let otherwise = match terminated.reason.as_str() {
        "OOMKilled" => "the container used more memory than its limit",
        _ => "the supervisor left no report",
    };
    non_empty(&terminated.message, otherwise)
}

fn without_container(job: &JobState, pod: Option<&PodState>) -> Outcome {
    let disrupted = job.reason.as_deref() == Some("PodFailurePolicy");
    let succeeded = job.succeeded == Some(true);
    let (exit_code, reason) = match (succeeded, disrupted) {
        // The Job succeeded, and its pod was deleted already.
        (true, _) => (0, "Complete".to_owned()),
        (false, true) => (TEMPORARY, "disrupted".to_owned()),
        (false, false) => (
            UNKNOWN,
            job.reason.clone().unwrap_or_else(|| "removed".to_owned()),
        ),
    };
    let deleted = || {
        (job.deleted && job.succeeded.is_none())
            .then(|| "The Job was deleted before its outcome was known".to_owned())
    };
    let message = kubernetes_message(job, pod)
        .or_else(|| first_failure(pod))
        .or_else(deleted);
    Outcome {
        exit_code,
        reason,
        message: message.filter(|_| !succeeded),
        report: None,
    }
}

/// Returns Kubernetes' reason and message for the failure of the pod or the Job.
fn kubernetes_message(job: &JobState, pod: Option<&PodState>) -> Option<String> {
    let of_pod = pod.and_then(|pod| {
        Some(format!(
            "{}: {}",
            pod.reason.as_ref()?,
            non_empty(pod.message.as_deref().unwrap_or_default(), "no message")
        ))
    });
    of_pod.or_else(|| match job.reason.as_deref()? {
        // This only means that the pod failed.
        "BackoffLimitExceeded" => None,
        "DeadlineExceeded" => {
            Some("The Job's activeDeadlineSeconds have passed: raise them with --patch".to_owned())
        }
        reason => Some(format!(
            "{reason}: {}",
            non_empty(job.message.as_deref().unwrap_or_default(), "no message")
        )),
    })
}

/// Returns the first container that failed, if the runner did not start.
fn first_failure(pod: Option<&PodState>) -> Option<String> {
    let failed = |terminated: &&Termination| terminated.code != 0;
    pod?.containers.iter().find_map(|container| {
        let terminated = container.terminated.as_ref().filter(failed)?;
        let message = non_empty(&terminated.message, &terminated.reason);
        Some(format!(
            "the container \"{}\" exited with {}: {message}",
            container.name, terminated.code
        ))
    })
}

fn non_empty(text: &str, otherwise: &str) -> String {
    match text.trim() {
        "" => otherwise.to_owned(),
        text => text.to_owned(),
    }
}

/// Parses the report in a termination message. Other programs write other texts there.
fn parse_report(message: &str) -> Option<Report> {
    let report: Report = serde_json::from_str(message.trim()).ok()?;
    (report.schema == SCHEMA).then_some(report)
}

#[cfg(test)]
mod tests {
    use super::super::state::Container;
    use super::*;

    fn job(succeeded: Option<bool>, reason: Option<&str>) -> JobState {
        JobState {
            succeeded,
            reason: reason.map(str::to_owned),
            ..JobState::default()
        }
    }

    fn pod(phase: &str, code: Option<i32>, message: &str) -> PodState {
        let terminated = code.map(|code| Termination {
            code,
            reason: "Error".to_owned(),
            message: message.to_owned(),
        });
        PodState {
            phase: phase.to_owned(),
            containers: vec![Container {
                name: RUNNER.to_owned(),
                terminated,
                ..Container::default()
            }],
            ..PodState::default()
        }
    }

    fn report(code: u8) -> String {
        let mut report = Report::new(Some("github"));
        report.exit_code = code;
        report.reason = report::Reason::Preflight;
        report.message = Some("no user namespaces".to_owned());
        serde_json::to_string(&report).unwrap()
    }

    #[test]
    fn an_outcome_is_settled_once_job_and_pod_have_ended() {
        assert_eq!(
            settled(&job(None, None), Some(&pod("Succeeded", Some(0), ""))),
            None
        );
        assert_eq!(
            settled(&job(Some(true), None), Some(&pod("Running", None, ""))),
            None
        );
        assert!(settled(&job(Some(true), None), Some(&pod("Succeeded", Some(0), ""))).is_some());
        assert_eq!(settled(&job(Some(false), None), None), None);
        assert!(so_far(&job(Some(false), None), None).is_some());
    }

    #[test]
    fn code_is_the_containers_and_reason_is_the_reports() {
        let outcome = settled(
            &job(Some(false), Some("BackoffLimitExceeded")),
            Some(&pod("Failed", Some(70), &report(70))),
        )
        .unwrap();
        assert_eq!(
            (outcome.exit_code, outcome.reason.as_str()),
            (70, "preflight")
        );
        assert_eq!(outcome.message.as_deref(), Some("no user namespaces"));
        assert!(outcome.report.is_some());
        let outcome = settled(
            &job(Some(false), None),
            Some(&pod("Failed", Some(137), "not a report")),
        )
        .unwrap();
        assert_eq!(
            (outcome.exit_code, outcome.message.as_deref()),
            (137, Some("not a report"))
        );
    }

    #[test]
    fn a_runner_without_a_session_may_be_tried_again() {
        let mut report = Report::new(Some("github"));
        report.exit_code = 69;
        report.reason = Reason::Unreachable;
        let message = serde_json::to_string(&report).unwrap();
        let outcome = settled(
            &job(Some(false), Some("DeadlineExceeded")),
            Some(&pod("Failed", Some(69), &message)),
        )
        .unwrap();
        assert_eq!(
            (outcome.exit_code, outcome.reason.as_str()),
            (TEMPORARY, "unreachable")
        );
    }

    #[test]
    fn an_outcome_without_a_container_has_a_reason() {
        for (job, pod, code, reason, message) in [
            (
                job(Some(false), Some("PodFailurePolicy")),
                None,
                75,
                "disrupted",
                "PodFailurePolicy",
            ),
            (
                job(Some(false), Some("DeadlineExceeded")),
                None,
                70,
                "DeadlineExceeded",
                "activeDeadlineSeconds",
            ),
            (job(Some(true), None), None, 0, "Complete", ""),
            (
                JobState {
                    deleted: true,
                    ..JobState::default()
                },
                None,
                70,
                "removed",
                "was deleted",
            ),
            (
                job(Some(true), None),
                Some(pod("Running", None, "")),
                0,
                "Complete",
                "",
            ),
        ] {
            let outcome = so_far(&job, pod.as_ref()).unwrap();
            assert_eq!((outcome.exit_code, outcome.reason.as_str()), (code, reason));
            assert!(outcome.message.unwrap_or_default().contains(message));
        }
    }

    #[test]
    fn a_failed_init_container_is_named() {
        let mut failed = pod("Failed", None, "");
        failed.containers.insert(
            0,
            Container {
                name: "stage-runner-secrets".to_owned(),
                terminated: Some(Termination {
                    code: 77,
                    reason: "Error".to_owned(),
                    message: "no jitconfig".to_owned(),
                }),
                ..Container::default()
            },
        );
        let outcome = settled(
            &job(Some(false), Some("BackoffLimitExceeded")),
            Some(&failed),
        )
        .unwrap();
        let message = outcome.message.unwrap();
        assert!(
            message.contains("stage-runner-secrets") && message.contains("no jitconfig"),
            "{message}"
        );
    }

    #[test]
    fn an_eviction_is_the_message() {
        let mut evicted = pod("Failed", Some(137), "");
        evicted.reason = Some("Evicted".to_owned());
        evicted.message = Some("The node was low on resource: ephemeral-storage".to_owned());
        let outcome = settled(&job(Some(false), Some("PodFailurePolicy")), Some(&evicted)).unwrap();
        assert_eq!(outcome.reason, "disrupted");
        assert!(outcome.message.unwrap().contains("low on resource"));
    }
}
