//! What a crash left behind: runners that nobody will start, Secrets without their Job, Jobs that never end by themselves.
//!
//! Runners are listed first, then Secrets, then Jobs. A launch makes them in the opposite order, so that whatever is seen of
//! one that is under way, its Job is seen too.

use std::time::{Duration, SystemTime};

use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use serde::Serialize;

use crate::create::{Cluster, ClusterError};
use crate::id::Prefix;
use crate::launch::LaunchError;
use crate::render::QUEUE_LABEL;
use crate::tokens::github::{Github, Listed};

/// A launch takes seconds. A Job that waits for longer has lost its launcher.
const HALF_DONE: Duration = Duration::from_secs(600);
/// For Kubernetes to remove a finished Job by itself.
const OVERDUE: Duration = Duration::from_secs(120);

/// Something that a crash left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Leftover {
    /// A runner at GitHub.
    Runner {
        /// Its id there.
        id: u64,
        /// Its name.
        name: String,
        /// Why it is one.
        why: &'static str,
    },
    /// A Secret.
    Secret {
        /// Its name.
        name: String,
        /// Why it is one.
        why: &'static str,
    },
    /// A Job.
    Job {
        /// Its name.
        name: String,
        /// Its uid.
        uid: String,
        /// Why it is one.
        why: &'static str,
    },
}

impl std::fmt::Display for Leftover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Runner { name, why, .. } => write!(f, "runner {name}: {why}"),
            Self::Secret { name, why } => write!(f, "secret {name}: {why}"),
            Self::Job { name, why, .. } => write!(f, "job {name}: {why}"),
        }
    }
}

/// Looks for what a crash left, of launches with this prefix. Nothing is changed.
///
/// # Errors
/// Where GitHub or the cluster refuses or is not there.
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

/// Removes what was found. What is gone meanwhile is no error.
///
/// # Errors
/// Where GitHub or the cluster refuses.
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
    runners: &[Listed],
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
        .filter(|runner| prefix.made(&runner.name) && runner.is_idle())
        // Somebody's own, of a name like a launch's.
        .filter(|runner| runner.ephemeral != Some(false))
    {
        let why = match job(&runner.name) {
            None => "it is offline, and there is no Job that would start it",
            Some(job) if is_finished(job) => "it is offline, and its Job is finished",
            Some(job) if is_half_done(job, now) => "it is offline, and its Job was never started",
            Some(_) => continue,
        };
        let (id, name) = (runner.id, runner.name.clone());
        found.push(Leftover::Runner { id, name, why });
    }
    for name in secrets
        .iter()
        .filter(|name| prefix.made(name) && job(name).is_none())
    {
        let (name, why) = (name.clone(), "there is no Job that owns it");
        found.push(Leftover::Secret { name, why });
    }
    for (name, job) in jobs.iter().filter(|(name, _)| prefix.made(name)) {
        let why = if is_half_done(job, now) {
            "it was never started, and its launcher is gone"
        } else if is_overdue(job, now) {
            "it is finished, and its ttlSecondsAfterFinished is over"
        } else {
            continue;
        };
        let (name, uid) = (name.clone(), job.uid().unwrap_or_default());
        found.push(Leftover::Job { name, uid, why });
    }
    found
}

/// Applied, and never started. Kueue's may wait for as long as they must.
fn is_half_done(job: &Job, now: SystemTime) -> bool {
    let suspended = job
        .spec
        .as_ref()
        .and_then(|spec| spec.suspend)
        .unwrap_or(false);
    let queued = job.labels().contains_key(QUEUE_LABEL);
    let made = job
        .creation_timestamp()
        .map(|time| SystemTime::from(time.0));
    suspended && !queued && made.is_some_and(|made| is_older(made, HALF_DONE, now))
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
        (Some(at), Some(ttl)) => is_older(at, ttl + OVERDUE, now),
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

fn is_older(then: SystemTime, than: Duration, now: SystemTime) -> bool {
    now.duration_since(then).is_ok_and(|age| age > than)
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
        let runners: Vec<Listed> = runners
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
    fn only_idle_runners_of_ours_without_a_living_job_are_removed() {
        let mut lasting = runner("ci-lasting", "offline", false);
        lasting["ephemeral"] = false.into();
        let runners = [
            runner("ci-gone", "offline", false),
            runner("ci-waits", "offline", false),
            runner("ci-half", "offline", false),
            runner("ci-ended", "offline", false),
            runner("ci-busy", "online", true),
            runner("ci-online", "online", false),
            runner("other", "offline", false),
            lasting,
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
    fn secrets_without_a_job_and_jobs_past_their_time_are_removed() {
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
