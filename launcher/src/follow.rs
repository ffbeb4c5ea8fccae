//! Following: one watch of Jobs, pods and events for all jobs of a namespace, and what it means for each.

pub mod logs;
pub mod outcome;
pub mod problem;
mod state;
pub mod wait;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures::{Stream, StreamExt, TryStreamExt};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event as KubeEvent, Pod};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch_objects};
use kube::{Resource, ResourceExt};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::create::{Cluster, ClusterError};
use crate::render::MANAGED_BY;
use outcome::Outcome;
use problem::Trouble;
pub use state::{Container, JobState, PodState};

/// The label by which a Job's pods name it.
const JOB_NAME: &str = "batch.kubernetes.io/job-name";
/// As many troubles of one job are kept.
const TROUBLES: usize = 50;

/// The label selector of what launches make.
#[must_use]
pub fn selector() -> String {
    format!("app.kubernetes.io/managed-by={MANAGED_BY}")
}

/// What is known of one job.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct View {
    /// Its Job.
    pub job: Option<JobState>,
    /// Its pod.
    pub pod: Option<PodState>,
    /// What stood in its way, each once, in order.
    pub troubles: Vec<Trouble>,
    /// Why nothing more will be known, if the watch was refused.
    pub broken: Option<String>,
    /// Its Job was created, whether the watch has seen it or not.
    launched: bool,
    /// What was said of an object by its uid that is neither the Job's nor the pod's as far as is known: it may come to be,
    /// or it was an earlier Job's of the same name.
    unplaced: Vec<(String, Trouble)>,
}

impl View {
    /// How it ended, once all of it is known.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        outcome::settled(self.job.as_ref()?, self.pod.as_ref())
    }

    /// How it ended, when its pod is not heard of any more.
    #[must_use]
    pub fn outcome_without_pod(&self) -> Option<Outcome> {
        outcome::given(self.job.as_ref()?, self.pod.as_ref())
    }

    fn trouble(&mut self, trouble: Option<Trouble>) {
        let Some(trouble) = trouble else { return };
        let told = self
            .troubles
            .iter()
            .any(|told| trouble.says_the_same_as(told));
        if self.troubles.len() < TROUBLES && !told {
            self.troubles.push(trouble);
        }
    }

    /// A trouble of the object with this uid. Events stay for an hour, and the same id may be launched again before.
    fn trouble_of(&mut self, uid: Option<&str>, trouble: Option<Trouble>) {
        let Some(uid) = uid else {
            return self.trouble(trouble);
        };
        let Some(said) = trouble.map(|trouble| (uid.to_owned(), trouble)) else {
            return;
        };
        if self.unplaced.contains(&said) {
            return;
        }
        if self.unplaced.len() == TROUBLES {
            self.unplaced.remove(0);
        }
        self.unplaced.push(said);
        self.place();
    }

    /// Takes over what was said of the Job and the pod before they were seen.
    fn place(&mut self) {
        let job = self.job.as_ref().map(|job| job.uid.clone());
        let pod = self.pod.as_ref().map(|pod| pod.uid.clone());
        let ours = |uid: &String| Some(uid) == job.as_ref() || Some(uid) == pod.as_ref();
        let (placed, unplaced): (Vec<_>, Vec<_>) = std::mem::take(&mut self.unplaced)
            .into_iter()
            .partition(|(uid, _)| ours(uid));
        self.unplaced = unplaced;
        for (_, trouble) in placed {
            self.trouble(Some(trouble));
        }
    }
}

/// The watch that all jobs of a namespace share.
pub struct Follower {
    views: Views,
    task: JoinHandle<()>,
}

impl Follower {
    /// Begins to watch, on the runtime that it is called in.
    #[must_use]
    pub fn start(cluster: &Cluster) -> Self {
        let views = Views::default();
        let task = tokio::spawn(watch_all(cluster.clone(), views.clone()));
        Self { views, task }
    }

    /// What is known of a Job, and each change of it. Asked for before its launch, it misses no event.
    ///
    /// ```no_run
    /// # async fn example(cluster: launcher::create::Cluster) {
    /// let follower = launcher::follow::Follower::start(&cluster);
    /// let mut job = follower.job("runner-build-4711");
    /// while job.borrow_and_update().outcome().is_none() {
    ///     if job.changed().await.is_err() {
    ///         break;
    ///     }
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn job(&self, name: &str) -> watch::Receiver<View> {
        self.views
            .with(|views| views.entry(name.to_owned()).or_default().subscribe())
    }

    /// Says that a Job is there now: if no list has it from here on, it was removed before the watch had seen it.
    pub fn launched(&self, name: &str) {
        self.views.change(name, |view| view.launched = true);
    }

    /// Drops what is known of a Job.
    pub fn forget(&self, name: &str) {
        self.views.with(|views| views.remove(name));
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone, Default)]
struct Views(Arc<Mutex<HashMap<String, watch::Sender<View>>>>);

impl Views {
    fn with<T>(&self, act: impl FnOnce(&mut HashMap<String, watch::Sender<View>>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes what is known of one, and tells of it where that is something new.
    fn change(&self, name: &str, change: impl FnOnce(&mut View)) {
        self.with(|views| notify(views.entry(name.to_owned()).or_default(), change));
    }

    fn change_known(&self, name: &str, change: impl FnOnce(&mut View)) {
        self.with(|views| {
            if let Some(sender) = views.get(name) {
                notify(sender, change);
            }
        });
    }

    fn launched(&self) -> HashSet<String> {
        let launched = |sender: &watch::Sender<View>| sender.borrow().launched;
        self.with(|views| {
            let all = views.iter().filter(|(_, sender)| launched(sender));
            all.map(|(name, _)| name.clone()).collect()
        })
    }

    fn change_all(&self, change: impl Fn(&str, &mut View)) {
        self.with(|views| {
            for (name, sender) in views.iter() {
                notify(sender, |view| change(name, view));
            }
        });
    }
}

fn notify(sender: &watch::Sender<View>, change: impl FnOnce(&mut View)) {
    sender.send_if_modified(|view| {
        let before = view.clone();
        change(view);
        *view != before
    });
}

async fn watch_all(cluster: Cluster, views: Views) {
    let labelled = || watcher::Config::default().labels(&selector());
    let jobs = watched::<Job>(&cluster, labelled());
    let pods = watched::<Pod>(&cluster, labelled());
    let events = watched::<KubeEvent>(&cluster, watcher::Config::default());
    tokio::join!(
        fold(jobs, &views, cluster.namespace(), JobFold::default()),
        fold(pods, &views, cluster.namespace(), PodFold::default()),
        fold(events, &views, cluster.namespace(), EventFold),
    );
}

fn watched<K>(
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

/// What a kind of object means for the views.
trait Fold<K> {
    /// As an error has it.
    const KIND: &'static str;
    fn there(&mut self, object: K, views: &Views);
    fn gone(&mut self, object: K, views: &Views);
    /// A new list begins.
    fn restarted(&mut self, _: &Views) {}
    /// The new list is complete: what was not in it is gone.
    fn listed(&mut self, _: &Views) {}
}

async fn fold<K, F: Fold<K>>(
    objects: impl Stream<Item = Result<Event<K>, watcher::Error>>,
    views: &Views,
    namespace: &str,
    mut fold: F,
) {
    let mut objects = std::pin::pin!(objects);
    while let Some(event) = objects.next().await {
        match event {
            Ok(Event::Apply(object) | Event::InitApply(object)) => fold.there(object, views),
            Ok(Event::Delete(object)) => fold.gone(object, views),
            Ok(Event::Init) => fold.restarted(views),
            Ok(Event::InitDone) => fold.listed(views),
            Err(error) => tell(&error, F::KIND, namespace, views),
        }
    }
}

/// A watch that is refused will be refused again; any other trouble passes, and the watch goes on by itself.
fn tell(error: &watcher::Error, kind: &str, namespace: &str, views: &Views) {
    let beneath = match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => error,
        other => {
            tracing::debug!("watching {kind}: {other}");
            return;
        }
    };
    let told = ClusterError::refused(&format!("watching {kind}"), namespace, beneath);
    if told.is_final() {
        let told = told.to_string();
        views.change_all(|_, view| view.broken = Some(told.clone()));
    } else {
        tracing::warn!("{}: {}; watching again", told.what, told.said);
    }
}

#[derive(Default)]
struct JobFold {
    listed: HashSet<String>,
    /// What was there when the list began.
    awaited: HashSet<String>,
}

impl Fold<Job> for JobFold {
    const KIND: &'static str = "Jobs";

    fn there(&mut self, job: Job, views: &Views) {
        let name = job.name_any();
        views.change(&name, |view| {
            view.job = Some(JobState::of(&job));
            view.place();
        });
        self.listed.insert(name);
    }

    fn gone(&mut self, job: Job, views: &Views) {
        views.change_known(&job.name_any(), removed);
    }

    fn restarted(&mut self, views: &Views) {
        self.listed.clear();
        self.awaited = views.launched();
    }

    fn listed(&mut self, views: &Views) {
        let (listed, awaited) = (std::mem::take(&mut self.listed), &self.awaited);
        views.change_all(|name, view| {
            if listed.contains(name) {
                return;
            }
            if awaited.contains(name) {
                view.job.get_or_insert_default();
            }
            removed(view);
        });
    }
}

/// A Job that was there and is not any more, its end unknown or known.
fn removed(view: &mut View) {
    if let Some(job) = &mut view.job {
        job.removed = true;
    }
}

#[derive(Default)]
struct PodFold {
    listed: HashSet<String>,
}

impl Fold<Pod> for PodFold {
    const KIND: &'static str = "pods";

    fn there(&mut self, pod: Pod, views: &Views) {
        let Some(job) = job_of(&pod) else { return };
        let state = PodState::of(&pod);
        self.listed.insert(job.clone());
        views.change(&job, |view| {
            for trouble in problem::pod(&state) {
                view.trouble(Some(trouble));
            }
            view.pod = Some(state);
            view.place();
        });
    }

    fn gone(&mut self, pod: Pod, views: &Views) {
        let Some(job) = job_of(&pod) else { return };
        // What was last said of its containers is in the last version.
        let mut state = PodState::of(&pod);
        state.removed = true;
        views.change_known(&job, |view| view.pod = Some(state));
    }

    fn restarted(&mut self, _: &Views) {
        self.listed.clear();
    }

    fn listed(&mut self, views: &Views) {
        let listed = std::mem::take(&mut self.listed);
        views.change_all(|name, view| {
            if let Some(pod) = view.pod.as_mut().filter(|_| !listed.contains(name)) {
                pod.removed = true;
            }
        });
    }
}

fn job_of(pod: &Pod) -> Option<String> {
    pod.labels().get(JOB_NAME).cloned()
}

struct EventFold;

impl Fold<KubeEvent> for EventFold {
    const KIND: &'static str = "events";

    fn there(&mut self, event: KubeEvent, views: &Views) {
        let about = &event.involved_object;
        let name = about.name.as_deref().unwrap_or_default();
        let job = match about.kind.as_deref() {
            Some("Job") => Some(name),
            // The Job's name, a dash, five characters.
            Some("Pod") => name.rsplit_once('-').map(|(job, _)| job),
            _ => None,
        };
        if let Some(job) = job {
            let uid = about.uid.as_deref().filter(|uid| !uid.is_empty());
            views.change_known(job, |view| view.trouble_of(uid, problem::event(&event)));
        }
    }

    fn gone(&mut self, _: KubeEvent, _: &Views) {}
}
