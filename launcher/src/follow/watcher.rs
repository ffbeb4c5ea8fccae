//! Watches Jobs, pods and events of a namespace, and updates the views.

use std::collections::HashSet;

use futures::{Stream, StreamExt, TryStreamExt};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event as KubeEvent, Pod};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch_objects};
use kube::{Resource, ResourceExt};

use super::problem;
use super::state::{JobState, PodState};
use super::view::{View, Views};
use crate::create::{Cluster, ClusterError};
use crate::render::labels::managed_by_launcher;

/// The label of a pod with its Job's name.
const JOB_NAME: &str = "batch.kubernetes.io/job-name";

/// Watches until the task is aborted.
pub(super) async fn watch(cluster: Cluster, views: Views) {
    let labelled = || watcher::Config::default().labels(&managed_by_launcher());
    let jobs = objects::<Job>(&cluster, labelled());
    let pods = objects::<Pod>(&cluster, labelled());
    let events = objects::<KubeEvent>(&cluster, watcher::Config::default());
    tokio::join!(
        handle(jobs, &views, cluster.namespace(), JobHandler::default()),
        handle(pods, &views, cluster.namespace(), PodHandler::default()),
        handle(events, &views, cluster.namespace(), EventHandler),
    );
}

fn objects<K>(
    cluster: &Cluster,
    config: watcher::Config,
) -> impl Stream<Item = Result<Event<K>, watcher::Error>> + use<K>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + Send
        + 'static,
    K::DynamicType: Default,
{
    watch_objects(cluster.api(), config)
        .default_backoff()
        .map_ok(|mut event: Event<K>| {
            if let Event::Apply(object) | Event::InitApply(object) = &mut event {
                object.meta_mut().managed_fields = None;
            }
            event
        })
}

/// Updates the views from the objects of one kind.
trait Handler<K> {
    /// The name of the kind in errors.
    const KIND: &'static str;
    /// The object exists, in this version.
    fn applied(&mut self, object: K, views: &Views);
    /// The object was deleted. This was its last version.
    fn deleted(&mut self, object: K, views: &Views);
    /// A new list begins.
    fn list_started(&mut self, _: &Views) {}
    /// The new list is complete. An object that is not in it was deleted.
    fn list_completed(&mut self, _: &Views) {}
}

async fn handle<K, H: Handler<K>>(
    objects: impl Stream<Item = Result<Event<K>, watcher::Error>>,
    views: &Views,
    namespace: &str,
    mut handler: H,
) {
    let mut objects = std::pin::pin!(objects);
    while let Some(event) = objects.next().await {
        match event {
            Ok(Event::Apply(object) | Event::InitApply(object)) => handler.applied(object, views),
            Ok(Event::Delete(object)) => handler.deleted(object, views),
            Ok(Event::Init) => handler.list_started(views),
            Ok(Event::InitDone) => handler.list_completed(views),
            Err(error) => report_error(&error, H::KIND, namespace, views),
        }
    }
}

/// Reports a rejected watch to every view, because it will be rejected again. The watch continues after other errors.
fn report_error(error: &watcher::Error, kind: &str, namespace: &str, views: &Views) {
    let source = match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => error,
        other => {
            tracing::debug!("watching {kind}: {other}");
            return;
        }
    };
    let error = ClusterError::rejected(&format!("watching {kind}"), namespace, source);
    if error.is_final() {
        let text = error.to_string();
        views.change_all(|_, view| view.watch_error = Some(text.clone()));
    } else {
        tracing::warn!("{}: {}; watching again", error.operation, error.message);
    }
}

#[derive(Default)]
struct JobHandler {
    listed: HashSet<String>,
    /// The Jobs that had been created when the list began.
    expected: HashSet<String>,
}

impl Handler<Job> for JobHandler {
    const KIND: &'static str = "Jobs";

    fn applied(&mut self, job: Job, views: &Views) {
        let name = job.name_any();
        views.change(&name, |view| view.set_job(JobState::from(&job)));
        self.listed.insert(name);
    }

    fn deleted(&mut self, job: Job, views: &Views) {
        views.change_existing(&job.name_any(), View::set_job_deleted);
    }

    fn list_started(&mut self, views: &Views) {
        self.listed.clear();
        self.expected = views.launched();
    }

    fn list_completed(&mut self, views: &Views) {
        let (listed, expected) = (std::mem::take(&mut self.listed), &self.expected);
        views.change_all(|name, view| {
            if listed.contains(name) {
                return;
            }
            if expected.contains(name) {
                view.job.get_or_insert_default();
            }
            view.set_job_deleted();
        });
    }
}

#[derive(Default)]
struct PodHandler {
    listed: HashSet<String>,
}

impl Handler<Pod> for PodHandler {
    const KIND: &'static str = "pods";

    fn applied(&mut self, pod: Pod, views: &Views) {
        let Some(job) = job_name(&pod) else { return };
        let state = PodState::from(&pod);
        self.listed.insert(job.clone());
        views.change(&job, |view| {
            for problem in problem::of_pod(&state) {
                view.add_problem(problem);
            }
            view.set_pod(state);
        });
    }

    fn deleted(&mut self, pod: Pod, views: &Views) {
        let Some(job) = job_name(&pod) else { return };
        // The last version has the final state of the containers.
        let mut state = PodState::from(&pod);
        state.deleted = true;
        views.change_existing(&job, |view| view.set_pod(state));
    }

    fn list_started(&mut self, _: &Views) {
        self.listed.clear();
    }

    fn list_completed(&mut self, views: &Views) {
        let listed = std::mem::take(&mut self.listed);
        views.change_all(|name, view| {
            if let Some(pod) = view.pod.as_mut().filter(|_| !listed.contains(name)) {
                pod.deleted = true;
            }
        });
    }
}

fn job_name(pod: &Pod) -> Option<String> {
    pod.labels().get(JOB_NAME).cloned()
}

struct EventHandler;

impl Handler<KubeEvent> for EventHandler {
    const KIND: &'static str = "events";

    fn applied(&mut self, event: KubeEvent, views: &Views) {
        let Some(problem) = problem::of_event(&event) else {
            return;
        };
        let object = &event.involved_object;
        let name = object.name.as_deref().unwrap_or_default();
        let job = match object.kind.as_deref() {
            Some("Job") => Some(name),
            // A pod's name is its Job's name, a dash and five characters.
            Some("Pod") => name.rsplit_once('-').map(|(job, _)| job),
            _ => None,
        };
        if let Some(job) = job {
            let uid = object.uid.as_deref().filter(|uid| !uid.is_empty());
            views.change_existing(job, |view| view.add_problem_of(uid, problem));
        }
    }

    fn deleted(&mut self, _: KubeEvent, _: &Views) {}
}
