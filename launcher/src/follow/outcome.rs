//! How a job ended, from its Job, its pod, and the report that its supervisor left.

use report::{Report, SCHEMA};
use serde::Serialize;

use super::state::{Ended, JobState, PodState};

/// The container whose code is the job's.
pub const RUNNER: &str = "runner";
/// `EX_SOFTWARE`: the job ended without its container's code, and why is in the sentence.
const UNKNOWN: u8 = 70;
/// `EX_TEMPFAIL`: the node was taken away, and trying again may help.
const DISRUPTED: u8 = 75;

/// A job's end.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// The code of the runner's container; 75 where its node was taken away, 70 where it had no end of its own.
    pub exit_code: u8,
    /// The report's reason, or Kubernetes'.
    pub reason: String,
    /// A sentence, where there is something to say.
    pub message: Option<String>,
    /// What the supervisor reported, if it came to that.
    pub report: Option<Report>,
}

/// The outcome, where neither the Job nor the pod will change any more.
pub(super) fn settled(job: &JobState, pod: Option<&PodState>) -> Option<Outcome> {
    let outcome = given(job, pod)?;
    // A pod that was not heard of may be about to be.
    (job.removed || pod.is_some_and(PodState::is_over)).then_some(outcome)
}

/// The outcome by what is known, where the Job is over.
pub(super) fn given(job: &JobState, pod: Option<&PodState>) -> Option<Outcome> {
    if job.succeeded.is_none() && !job.removed {
        return None;
    }
    let ended = pod.and_then(|pod| pod.container(RUNNER)?.ended.as_ref());
    Some(match ended {
        Some(ended) => by_container(ended, job, pod),
        None => without_container(job, pod),
    })
}

fn by_container(ended: &Ended, job: &JobState, pod: Option<&PodState>) -> Outcome {
    let report = parse(&ended.message);
    let reason = report
        .as_ref()
        .and_then(|report| serde_json::to_value(report.reason).ok());
    let reason = reason.and_then(|reason| reason.as_str().map(str::to_owned));
    let disrupted = job.reason.as_deref() == Some("PodFailurePolicy");
    let by_kubernetes = || explained(job, pod).filter(|_| job.succeeded != Some(true));
    let message = match report.as_ref() {
        Some(report) => report.message.clone().or_else(by_kubernetes),
        None if ended.code == 0 => by_kubernetes(),
        None => by_kubernetes().or_else(|| Some(without_report(ended))),
    };
    Outcome {
        // A code of 0 with a failed Job would be a lie.
        exit_code: match u8::try_from(ended.code) {
            Ok(0) if job.succeeded == Some(false) => UNKNOWN,
            Ok(code) => code,
            Err(_) => UNKNOWN,
        },
        reason: if disrupted {
            "disrupted".to_owned()
        } else {
            reason.unwrap_or_else(|| ended.reason.clone())
        },
        message,
        report,
    }
}

fn without_report(ended: &Ended) -> String {
    let otherwise = match ended.reason.as_str() {
        "OOMKilled" => "the container used more memory than its limit",
        _ => "the supervisor left no report",
    };
    text(&ended.message, otherwise)
}

fn without_container(job: &JobState, pod: Option<&PodState>) -> Outcome {
    let disrupted = job.reason.as_deref() == Some("PodFailurePolicy");
    let succeeded = job.succeeded == Some(true);
    let (exit_code, reason) = match (succeeded, disrupted) {
        // The Job's own word, where its pod is gone already.
        (true, _) => (0, "Complete".to_owned()),
        (false, true) => (DISRUPTED, "disrupted".to_owned()),
        (false, false) => (
            UNKNOWN,
            job.reason.clone().unwrap_or_else(|| "removed".to_owned()),
        ),
    };
    let removed = || {
        (job.removed && job.succeeded.is_none())
            .then(|| "The Job was removed before its end was known".to_owned())
    };
    let message = explained(job, pod)
        .or_else(|| first_failure(pod))
        .or_else(removed);
    Outcome {
        exit_code,
        reason,
        message: message.filter(|_| !succeeded),
        report: None,
    }
}

/// What Kubernetes said of the pod as a whole, or of the Job.
fn explained(job: &JobState, pod: Option<&PodState>) -> Option<String> {
    let of_pod = pod.and_then(|pod| {
        Some(format!(
            "{}: {}",
            pod.reason.as_ref()?,
            text(pod.message.as_deref().unwrap_or_default(), "no message")
        ))
    });
    of_pod.or_else(|| match job.reason.as_deref()? {
        // It only says that the pod failed.
        "BackoffLimitExceeded" => None,
        "DeadlineExceeded" => {
            Some("activeDeadlineSeconds of the Job is over: raise it with --patch".to_owned())
        }
        reason => Some(format!(
            "{reason}: {}",
            text(job.message.as_deref().unwrap_or_default(), "no message")
        )),
    })
}

/// The first container that failed, where the runner never came to run.
fn first_failure(pod: Option<&PodState>) -> Option<String> {
    let failed = |ended: &&Ended| ended.code != 0;
    pod?.containers.iter().find_map(|container| {
        let ended = container.ended.as_ref().filter(failed)?;
        let said = text(&ended.message, &ended.reason);
        Some(format!(
            "the container \"{}\" ended with {}: {said}",
            container.name, ended.code
        ))
    })
}

fn text(said: &str, otherwise: &str) -> String {
    match said.trim() {
        "" => otherwise.to_owned(),
        said => said.to_owned(),
    }
}

/// The report in a termination message, which may be another container's text.
fn parse(message: &str) -> Option<Report> {
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
        let ended = code.map(|code| Ended {
            code,
            reason: "Error".to_owned(),
            message: message.to_owned(),
        });
        PodState {
            phase: phase.to_owned(),
            containers: vec![Container {
                name: RUNNER.to_owned(),
                ended,
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
    fn nothing_is_settled_before_both_are_over() {
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
        assert!(given(&job(Some(false), None), None).is_some());
    }

    #[test]
    fn the_code_is_the_containers_and_the_reason_the_reports() {
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
    fn an_end_without_the_container_is_told() {
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
                    removed: true,
                    ..JobState::default()
                },
                None,
                70,
                "removed",
                "was removed",
            ),
            (
                job(Some(true), None),
                Some(pod("Running", None, "")),
                0,
                "Complete",
                "",
            ),
        ] {
            let outcome = given(&job, pod.as_ref()).unwrap();
            assert_eq!((outcome.exit_code, outcome.reason.as_str()), (code, reason));
            assert!(outcome.message.unwrap_or_default().contains(message));
        }
    }

    #[test]
    fn a_failed_start_names_its_container() {
        let mut failed = pod("Failed", None, "");
        failed.containers.insert(
            0,
            Container {
                name: "stage-runner-secrets".to_owned(),
                ended: Some(Ended {
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
    fn an_evicted_pod_says_so() {
        let mut evicted = pod("Failed", Some(137), "");
        evicted.reason = Some("Evicted".to_owned());
        evicted.message = Some("The node was low on resource: ephemeral-storage".to_owned());
        let outcome = settled(&job(Some(false), Some("PodFailurePolicy")), Some(&evicted)).unwrap();
        assert_eq!(outcome.reason, "disrupted");
        assert!(outcome.message.unwrap().contains("low on resource"));
    }
}
