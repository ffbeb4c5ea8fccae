//! Builds a plan, step by step.

use std::path::{Path, PathBuf};

use super::error::TranslateError;
use super::handover::Place;
use super::output::Output;
use super::plan::{Command, Plan, Stdout, Step, Variables};

/// What the translation may know of the job.
#[derive(Clone, Copy)]
pub(crate) struct JobContext<'a> {
    /// A directory for this call, shared by job and builder. It need not exist yet.
    pub(crate) scratch: &'a Path,
    /// Returns the value of a variable of the job.
    pub(crate) variable: &'a dyn Fn(&str) -> Option<String>,
    /// Returns where a path of the job lies.
    pub(crate) place: &'a dyn Fn(&Path) -> Place,
}

/// A plan in the making.
pub(super) struct Planner<'a> {
    /// The program and the verb, for messages: `docker build`.
    pub(super) command: String,
    pub(super) job: JobContext<'a>,
    pub(super) plan: Plan,
    files: usize,
}

impl<'a> Planner<'a> {
    pub(super) fn new(command: String, job: JobContext<'a>) -> Self {
        Self {
            command,
            job,
            plan: Plan::default(),
            files: 0,
        }
    }

    pub(super) fn usage(&self, message: &str) -> TranslateError {
        TranslateError::usage(&self.command, message)
    }

    pub(super) fn not_available(&self, what: &str, because: &str, instead: &str) -> TranslateError {
        TranslateError::not_available(&format!("{} {what}", self.command), because, instead)
    }

    pub(super) fn notice(&mut self, text: &str) {
        let notice = format!("{}: {text}", self.command);
        if !self.plan.notices.contains(&notice) {
            self.plan.notices.push(notice);
        }
    }

    pub(super) fn step(&mut self, step: Step) {
        self.plan.steps.push(step);
    }

    /// Prints a line on standard error when the steps before it have ended.
    pub(super) fn note(&self, text: &str) -> Step {
        Step::Notice(format!("{}: {text}", self.command))
    }

    pub(super) fn run<T: Into<String>>(&mut self, arguments: impl IntoIterator<Item = T>) {
        self.step(Step::Run(Command::new(arguments, Stdout::Inherited)));
    }

    /// Adds a command whose arguments are the user's own.
    pub(super) fn run_verbatim(&mut self, arguments: impl IntoIterator<Item = String>) {
        self.step(Step::Run(Command {
            variables: Variables::Unread,
            ..Command::new(arguments, Stdout::Inherited)
        }));
    }

    pub(super) fn capture<T: Into<String>>(&mut self, arguments: impl IntoIterator<Item = T>) {
        self.step(Step::Run(Command::new(arguments, Stdout::Captured)));
    }

    pub(super) fn print(&mut self, output: Output) {
        self.step(Step::Print { output, to: None });
    }

    pub(super) fn print_text(&mut self, text: impl Into<String>) {
        self.print(Output::Text(text.into()));
    }

    /// Returns a new path in the scratch directory.
    pub(super) fn scratch(&mut self, name: &str) -> PathBuf {
        self.files += 1;
        self.job.scratch.join(format!("{}-{name}", self.files))
    }

    /// Returns a name in Buildah's storage that no other call uses.
    pub(super) fn scratch_image(&mut self) -> String {
        self.files += 1;
        let call = self.job.scratch.file_name().unwrap_or_default();
        let call = call.to_string_lossy().to_lowercase();
        let call = call.replace(|letter: char| !letter.is_ascii_alphanumeric(), "");
        format!("localhost/docker-{call}-{}:latest", self.files)
    }
}

/// Returns a path as text for an argument.
pub(super) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
