//! Garbage collection: finds and removes what a crashed launcher left behind.
//!
//! That is: runners that no Job will start, Secrets without a Job, Jobs that were never started or deleted. Runners are
//! listed first, then Secrets, then Jobs. A launch creates them in the opposite order. So if a runner or Secret of a running
//! launch is listed, its Job is listed too.

use std::time::{Duration, SystemTime};

use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use serde::Serialize;

use crate::create::{Cluster, ClusterError};
use crate::id::Prefix;
use crate::launch::LaunchError;
use crate::render::labels::QUEUE_LABEL;
use crate::tokens::github::{Github, ListedRunner};

/// The age at which a suspended Job counts as abandoned. A launch takes seconds.
const ABANDONED_AFTER: Duration = Duration::from_secs(600);
/// The time that Kubernetes has to delete a finished Job, after its `ttlSecondsAfterFinished`.
const TTL_GRACE: Duration = Duration::from_secs(120);

/// An object that a crashed launcher left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Leftover {
    /// A runner that is registered at GitHub.
    Runner {
        /// Its id at GitHub.
        id: u64,
        /// Its name.
        name: String,
        /// The reason why it counts as a leftover.
        reason: &'static str,
    },
    /// A Secret.
    Secret {
        /// Its name.
        name: String,
        /// The reason why it counts as a leftover.
        reason: &'static str,
    },
    /// A Job.
    Job {
        /// Its name.
        name: String,
        /// Its uid.
        uid: String,
        /// The reason why it counts as a leftover.
        reason: &'static str,
    },
}

impl std::fmt::Display for Leftover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Runner { name, reason, .. } => write!(f, "runner {name}: {reason}"),
            Self::Secret { name, reason } => write!(f, "secret {name}: {reason}"),
            Self::Job { name, reason, .. } => write!(f, "job {name}: {reason}"),
        }
    }
}

/// Finds the leftovers of launches with this prefix. It changes nothing.
///
/// # Errors
/// If a request to GitHub or to the cluster fails.
pub async fn find(
    cluster: &Cluster,
    github: Option<&Github>,
    prefix: &Prefix,
) -> Result<Vec<Leftover>, LaunchError> {
    let runners = match github {
        Some(github) => github.list().await?,
        None => Vec::new(),
    };
    let secrets = cluster.secrets().await?;
    let secrets: Vec<String> = secrets.iter().map(ResourceExt::name_any).collect();
    let jobs = cluster.jobs().await?;
    Ok(leftovers(
        &runners,
        &secrets,
        &jobs,
        prefix,
        SystemTime::now(),
    ))
}

/// Removes a leftover. If it was removed in the meantime, that is not an error.
///
/// # Errors
/// If a request to GitHub or to the cluster fails.
pub async fn remove(
    cluster: &Cluster,
    github: Option<&Github>,
    leftover: &Leftover,
) -> Result<(), LaunchError> {
    let kubernetes: Result<(), ClusterError> = match (leftover, github) {
        (Leftover::Runner { id, .. }, Some(github)) => return Ok(github.remove(*id).await?),
        (Leftover::Runner { .. }, None) => Ok(()),
        (Leftover::Secret { name, .. }, _) => cluster.remove_secret(name).await,
        (Leftover::Job { name, uid, .. }, _) => cluster.remove_job(name, Some(uid)).await,
    };
    Ok(kubernetes?)
}

fn leftovers(
    runners: &[ListedRunner],
    secrets: &[String],
    jobs: &[Job],
    prefix: &Prefix,
    now: SystemTime,
) -> Vec<Leftover> {
    let jobs: Vec<(String, &Job)> = jobs.iter().map(|job| (job.name_any(), job)).collect();
    let job = |name: &str| jobs.iter().find(|(of, _)| of == name).map(|(_, job)| *job);
    let mut found = Vec::new();
    for runner in runners
        .iter()
        .filter(|runner| prefix.matches(&runner.name) && runner.is_idle())
        // A permanent runner whose name happens to look like a launch's.
        .filter(|runner| runner.ephemeral != Some(false))
    {
        let reason = match job(&runner.name) {
            None => "it is offline, and no Job of its name exists",
            Some(job) if is_finished(job) => "it is offline, and its Job is finished",
            Some(job) if is_abandoned(job, now) => "it is offline, and its Job was never started",
            Some(_) => continue,
        };
        let (id, name) = (runner.id, runner.name.clone());
        found.push(Leftover::Runner { id, name, reason });
    }
    for name in secrets
        .iter()
        .filter(|name| prefix.matches(name) && job(name).is_none())
    {
        let (name, reason) = (name.clone(), "no Job of its name exists");
        found.push(Leftover::Secret { name, reason });
    }
    for (name, job) in jobs.iter().filter(|(name, _)| prefix.matches(name)) {
        let reason = if is_abandoned(job, now) {
            "it was not started within ten minutes of its creation"
        } else if is_overdue(job, now) {
            "it is finished, and its ttlSecondsAfterFinished has passed"
        } else {
            continue;
        };
        let (name, uid) = (name.clone(), job.uid().unwrap_or_default());
        found.push(Leftover::Job { name, uid, reason });
    }
    found
}

/// Returns whether a Job was applied but never started. A Job in a queue of Kueue may wait for any time.
fn is_abandoned(job: &Job, now: SystemTime) -> bool {
    let suspended = job
        .spec
        .as_ref()
        .and_then(|spec| spec.suspend)
        .unwrap_or(false);
    let queued = job.labels().contains_key(QUEUE_LABEL);
    let made = job
        .creation_timestamp()
        .map(|time| SystemTime::from(time.0));
    suspended && !queued && made.is_some_and(|made| is_older(made, ABANDONED_AFTER, now))
}

fn is_overdue(job: &Job, now: SystemTime) -> bool {
    let ttl = job
        .spec
        .as_ref()
        .and_then(|spec| spec.ttl_seconds_after_finished);
    let ttl = ttl
        .and_then(|seconds| u64::try_from(seconds).ok())
        .map(Duration::from_secs);
    match (finished(job), ttl) {
        (Some(at), Some(ttl)) => is_older(at, ttl + TTL_GRACE, now),
        _ => false,
    }
}

fn is_finished(job: &Job) -> bool {
    finished(job).is_some()
}

fn finished(job: &Job) -> Option<SystemTime> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let ended = |kind: &str| kind == "Complete" || kind == "Failed";
    let condition = conditions
        .iter()
        .find(|c| ended(&c.type_) && c.status == "True")?;
    condition
        .last_transition_time
        .as_ref()
        .map(|time| SystemTime::from(time.0))
}

fn is_older(then: SystemTime, limit: Duration, now: SystemTime) -> bool {
    now.duration_since(then).is_ok_and(|age| age > limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// 2027-01-15T08:00:00Z.
    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    fn job(name: &str, suspend: bool, made: &str, ended: Option<&str>) -> Value {
        let conditions: Vec<Value> = ended
            .map(|time| json!({"type": "Complete", "status": "True", "lastTransitionTime": time}))
            .into_iter()
            .collect();
        json!({
            "metadata": {"name": name, "uid": format!("uid-{name}"), "creationTimestamp": made},
            "spec": {"suspend": suspend, "ttlSecondsAfterFinished": 600, "template": {}},
            "status": {"conditions": conditions},
        })
    }

    fn names(runners: &[Value], secrets: &[&str], jobs: &[Value]) -> Vec<String> {
        let read = |job: &Value| serde_json::from_value(job.clone()).unwrap();
        let jobs: Vec<Job> = jobs.iter().map(read).collect();
        let runners: Vec<ListedRunner> = runners
            .iter()
            .map(|r| serde_json::from_value(r.clone()).unwrap())
            .collect();
        let secrets: Vec<String> = secrets.iter().map(|name| (*name).to_owned()).collect();
        let found = leftovers(&runners, &secrets, &jobs, &"ci".parse().unwrap(), now());
        found
            .iter()
            .map(|leftover| leftover.to_string().split(':').next().unwrap().to_owned())
            .collect()
    }

    fn runner(name: &str, status: &str, busy: bool) -> Value {
        json!({"id": 1, "name": name, "status": status, "busy": busy})
    }

    const OLD: &str = "2027-01-15T07:00:00Z";
    const NEW: &str = "2027-01-15T07:55:00Z";

    #[test]
    fn idle_runners_without_a_live_job_are_leftovers() {
        let mut permanent = runner("ci-permanent", "offline", false);
        permanent["ephemeral"] = false.into();
        let runners = [
            runner("ci-gone", "offline", false),
            runner("ci-waits", "offline", false),
            runner("ci-half", "offline", false),
            runner("ci-ended", "offline", false),
            runner("ci-busy", "online", true),
            runner("ci-online", "online", false),
            runner("other", "offline", false),
            permanent,
        ];
        let jobs = [
            job("ci-waits", true, NEW, None),
            job("ci-half", true, OLD, None),
            job("ci-ended", false, OLD, Some(NEW)),
        ];
        let expected = [
            "runner ci-gone",
            "runner ci-half",
            "runner ci-ended",
            "job ci-half",
        ];
        assert_eq!(names(&runners, &[], &jobs), expected);
    }

    #[test]
    fn secrets_without_a_job_and_overdue_jobs_are_leftovers() {
        let mut queued = job("ci-queued", true, OLD, None);
        queued["metadata"]["labels"] = json!({QUEUE_LABEL: "ci"});
        let jobs = [
            job("ci-runs", false, OLD, None),
            job("ci-fresh", false, OLD, Some(NEW)),
            job("ci-late", false, OLD, Some(OLD)),
            job("other", false, OLD, Some(OLD)),
            queued,
        ];
        let secrets = ["ci-runs", "ci-lost", "registry"];
        assert_eq!(
            names(&[], &secrets, &jobs),
            ["secret ci-lost", "job ci-late"]
        );
    }
}
