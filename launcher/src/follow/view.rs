//! The view of one job: its Job, its pod and its problems. And the views of all jobs that are followed.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::outcome::{self, Outcome};
use super::problem::Problem;
use super::state::{JobState, PodState};

/// The greatest number of problems that a view keeps.
const MAX_PROBLEMS: usize = 50;

/// What the watch has seen of one job.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct View {
    /// The Job's state. `None` before the watch has seen it.
    pub job: Option<JobState>,
    /// The pod's state. `None` before the watch has seen it.
    pub pod: Option<PodState>,
    /// The problems so far, each once, in order.
    pub problems: Vec<Problem>,
    /// The error that ended the watch for good.
    pub watch_error: Option<String>,
    /// Whether the Job was created, even if the watch has not seen it.
    launched: bool,
    /// Problems of objects by uid, before the watch has seen an object with this uid. It may appear later, or belong to an
    /// earlier Job of the same name.
    unattributed: Vec<(String, Problem)>,
}

impl View {
    /// Returns the outcome, once neither the Job nor the pod can change any more.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        outcome::settled(self.job.as_ref()?, self.pod.as_ref())
    }

    /// Returns the outcome once the Job has ended, even if the pod's end was not seen.
    pub(crate) fn outcome_without_pod(&self) -> Option<Outcome> {
        outcome::so_far(self.job.as_ref()?, self.pod.as_ref())
    }

    pub(super) fn set_launched(&mut self) {
        self.launched = true;
    }

    pub(super) fn set_job(&mut self, job: JobState) {
        self.job = Some(job);
        self.attribute();
    }

    /// Sets the pod's state, unless a later pod of the Job is known.
    pub(super) fn set_pod(&mut self, pod: PodState) {
        let replaced = |known: &PodState| pod.is_replaced_by(known);
        if !self.pod.as_ref().is_some_and(replaced) {
            self.pod = Some(pod);
        }
        self.attribute();
    }

    /// Marks the Job as deleted, if it was seen.
    pub(super) fn set_job_deleted(&mut self) {
        if let Some(job) = &mut self.job {
            job.deleted = true;
        }
    }

    /// Adds a problem, unless the view has one that tells the user the same.
    pub(super) fn add_problem(&mut self, problem: Problem) {
        let known = self
            .problems
            .iter()
            .any(|known| problem.is_repetition_of(known));
        if self.problems.len() < MAX_PROBLEMS && !known {
            self.problems.push(problem);
        }
    }

    /// Adds a problem of the object with this uid. Events are kept for an hour, and the same id may be launched again in
    /// that time. So the uid decides whether an event is about this Job.
    pub(super) fn add_problem_of(&mut self, uid: Option<&str>, problem: Problem) {
        let Some(uid) = uid else {
            return self.add_problem(problem);
        };
        let entry = (uid.to_owned(), problem);
        if self.unattributed.contains(&entry) {
            return;
        }
        if self.unattributed.len() == MAX_PROBLEMS {
            self.unattributed.remove(0);
        }
        self.unattributed.push(entry);
        self.attribute();
    }

    /// Adds the problems of the Job and the pod that were reported before the watch had seen them.
    fn attribute(&mut self) {
        let job = self.job.as_ref().map(|job| job.uid.clone());
        let pod = self.pod.as_ref().map(|pod| pod.uid.clone());
        let ours = |uid: &String| Some(uid) == job.as_ref() || Some(uid) == pod.as_ref();
        let (attributed, unattributed): (Vec<_>, Vec<_>) = std::mem::take(&mut self.unattributed)
            .into_iter()
            .partition(|(uid, _)| ours(uid));
        self.unattributed = unattributed;
        for (_, problem) in attributed {
            self.add_problem(problem);
        }
    }
}

/// The views of all jobs that are followed, by the Job's name.
#[derive(Clone, Default)]
pub(super) struct Views(Arc<Mutex<HashMap<String, watch::Sender<View>>>>);

impl Views {
    fn with<T>(&self, act: impl FnOnce(&mut HashMap<String, watch::Sender<View>>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn subscribe(&self, name: &str) -> watch::Receiver<View> {
        self.with(|views| views.entry(name.to_owned()).or_default().subscribe())
    }

    pub(super) fn remove(&self, name: &str) {
        self.with(|views| views.remove(name));
    }

    /// Changes a view, which is created if necessary, and notifies its receivers if it differs from before.
    pub(super) fn change(&self, name: &str, change: impl FnOnce(&mut View)) {
        self.with(|views| modify(views.entry(name.to_owned()).or_default(), change));
    }

    /// Changes a view, if it exists.
    pub(super) fn change_existing(&self, name: &str, change: impl FnOnce(&mut View)) {
        self.with(|views| {
            if let Some(sender) = views.get(name) {
                modify(sender, change);
            }
        });
    }

    /// Changes every view.
    pub(super) fn change_all(&self, change: impl Fn(&str, &mut View)) {
        self.with(|views| {
            for (name, sender) in views.iter() {
                modify(sender, |view| change(name, view));
            }
        });
    }

    /// Returns the names of the Jobs that were created.
    pub(super) fn launched(&self) -> HashSet<String> {
        let launched = |sender: &watch::Sender<View>| sender.borrow().launched;
        self.with(|views| {
            let all = views.iter().filter(|(_, sender)| launched(sender));
            all.map(|(name, _)| name.clone()).collect()
        })
    }
}

fn modify(sender: &watch::Sender<View>, change: impl FnOnce(&mut View)) {
    sender.send_if_modified(|view| {
        let before = view.clone();
        change(view);
        *view != before
    });
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn pod(name: &str, second: i64) -> PodState {
        PodState {
            uid: name.to_owned(),
            name: name.to_owned(),
            created: Some(Timestamp::from_second(second).unwrap()),
            ..PodState::default()
        }
    }

    #[test]
    fn the_last_pod_of_a_job_counts() {
        let mut view = View::default();
        for (next, seen) in [
            (pod("a", 1), "a"),
            (pod("b", 301), "b"),
            // A list has the pods in any order, and the end of the first one may be seen late.
            (pod("a", 1), "b"),
            (pod("b", 301), "b"),
            (pod("c", 602), "c"),
        ] {
            view.set_pod(next);
            assert_eq!(view.pod.as_ref().unwrap().name, seen);
        }
    }
}
