//! What PID 1 learns of a job beside its runner: why it has to end, whether its builder still runs, and how full its volumes are.
//!
//! The hooks learn some of it from files that the job may change. What is here comes from the kernel and the builder alone.

use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tracing::warn;

use crate::config::{Config, FlavorName};
use crate::flavor::annotation::Annotations;
use crate::page::words::{self, Owner};
use builder::Observer;
use init::terminate::Cause;
use linux::container_usage::{ContainerUsage, volumes};
use report::{BuilderReport, Problem, ProblemKind, Report, Volume};

/// How long the builder has for its answer after the job.
const ANSWER: Duration = Duration::from_millis(500);

/// The watch over one job.
pub(crate) struct JobWatch {
    annotations: Annotations,
    socket: PathBuf,
    paths: Vec<PathBuf>,
    /// How long a job may go on after SIGTERM, if its flavor lets it.
    grace: Option<Duration>,
    deadline: Option<Duration>,
    /// When the job began.
    began: Option<Instant>,
    observer: Option<Observer>,
    problems: Vec<Problem>,
    /// The volumes that were full.
    full: Vec<(Owner, String)>,
    /// The volumes were looked at when the steps were done.
    looked: bool,
}

impl JobWatch {
    pub(crate) fn new(config: &Config) -> Self {
        let drains = config.flavor == FlavorName::Github;
        Self {
            annotations: Annotations::new(&config.runtime_directory),
            socket: config.builder.socket.clone(),
            paths: config.workspace.volumes(),
            grace: drains.then_some(config.grace),
            deadline: config.deadline,
            began: None,
            observer: None,
            problems: Vec::new(),
            full: Vec::new(),
            looked: false,
        }
    }

    /// A job is under way. Only the first call counts.
    pub(crate) fn begin(&mut self) {
        if self.began.is_none() {
            self.began = Some(Instant::now());
            self.observer = self.connect();
        }
    }

    fn connect(&self) -> Option<Observer> {
        Observer::connect(&self.socket, true).ok()
    }

    /// Becomes readable when the builder has ended.
    pub(crate) fn events(&self) -> Option<BorrowedFd<'_>> {
        self.observer.as_ref()?.events()
    }

    /// Looks at the builder, and at the volumes once the steps are done.
    pub(crate) fn look(&mut self, steps_done: bool) {
        if let Some(observer) = &mut self.observer {
            observer.look();
        }
        self.note_builder();
        if steps_done && !std::mem::replace(&mut self.looked, true) {
            self.note_volumes();
        }
    }

    fn note_builder(&mut self) {
        if self.observer.as_ref().is_some_and(Observer::has_ended) {
            self.observer = None;
            let sentence = words::builder_ended(self.after(Instant::now()));
            self.note(ProblemKind::BuilderEnded, sentence);
        }
    }

    /// Reads the space of the job's volumes, and notes those that are full.
    fn note_volumes(&mut self) -> Vec<Volume> {
        let found = volumes(&self.paths);
        for volume in &found {
            self.note_volume(volume, Owner::Job);
        }
        found
    }

    fn note_volume(&mut self, volume: &Volume, owner: Owner) {
        let known = (owner, volume.path.clone());
        if let Some(sentence) = words::storage_full(volume, owner)
            && !self.full.contains(&known)
        {
            self.full.push(known);
            warn!("{sentence}");
            self.add(ProblemKind::StorageFull, sentence);
        }
    }

    /// The time of the job at that moment.
    fn after(&self, at: Instant) -> Duration {
        self.began
            .map_or(Duration::ZERO, |began| at.saturating_duration_since(began))
    }

    /// The job is about to be ended for this cause, which came at `since`.
    pub(crate) fn ending(&mut self, cause: Cause, since: Instant) {
        if self.began.is_none() {
            return;
        }
        let after = self.after(since);
        match (cause, self.deadline) {
            (Cause::Requested, _) => {
                let sentence = words::terminated(after, self.grace);
                self.note(ProblemKind::Terminated, sentence);
            }
            (Cause::Deadline, Some(deadline)) => {
                let sentence = words::deadline(after, deadline);
                self.note(ProblemKind::Deadline, sentence);
            }
            _ => {}
        }
    }

    /// Notes a sentence about memory, which is in the log already.
    pub(crate) fn note_memory(&mut self, sentence: &str) {
        self.add(ProblemKind::OutOfMemory, sentence.to_owned());
    }

    /// Only the first problem of a kind counts.
    fn note(&mut self, kind: ProblemKind, sentence: String) {
        if !self.problems.iter().any(|problem| problem.kind == kind) {
            warn!("{sentence}");
            self.add(kind, sentence);
        }
    }

    fn add(&mut self, kind: ProblemKind, message: String) {
        // Without it the hook says nothing. The log and the report still do.
        let _ = self.annotations.write(kind, &message);
        self.problems.push(Problem { kind, message });
    }

    /// Adds what is known to the report after the runner's end.
    pub(crate) fn finish(&mut self, report: &mut Report) {
        if self.began.is_none() {
            return;
        }
        let facts = self.ask();
        self.note_builder();
        report.volumes = self.note_volumes();
        if let Some(volume) = facts.as_ref().and_then(|facts| facts.volume.as_ref()) {
            self.note_volume(volume, Owner::Builder);
        }
        report.problems = std::mem::take(&mut self.problems);
        report.written_bytes = ContainerUsage::read().written;
        report.builder = facts;
    }

    fn ask(&mut self) -> Option<BuilderReport> {
        let Some(observer) = &mut self.observer else {
            return self.connect()?.facts(ANSWER);
        };
        let first = observer.facts(ANSWER);
        // One that was restarted answers too. One that is only slow is not asked twice.
        if first.is_some() || observer.events().is_some() {
            return first;
        }
        self.connect()?.facts(ANSWER)
    }
}

#[cfg(test)]
mod tests;
