//! What a Docker command line turns into: steps, each a Buildah command line or something small of our own.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::answer::Answer;
use super::git::Source;
use super::types::Unavailable;

/// A value that no log shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(Zeroizing<String>);

impl Hidden {
    pub(super) fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// The value.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// Where a command's standard input comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// From the job's.
    Job,
    /// From this value.
    Hidden(Hidden),
}

/// Where a command's standard output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// To the job's.
    Job,
    /// To the answers that follow.
    Captured,
    /// Nowhere, and standard error neither.
    Dropped,
}

/// One command line of Buildah, without the program's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Verb and arguments.
    pub arguments: Vec<String>,
    /// Its standard input.
    pub input: Input,
    /// Its standard output.
    pub output: Output,
}

/// One step. The first that fails ends the plan with its exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Buildah runs.
    Run(Command),
    /// Buildah runs; whether it succeeds does not matter.
    Try(Command),
    /// Which of two ways is gone depends on whether a command succeeds.
    Either {
        /// The question.
        test: Command,
        /// What follows success.
        yes: Vec<Step>,
        /// What follows failure.
        no: Vec<Step>,
    },
    /// A list is pushed and its digest written. Buildah 1.39 forgets the push's own error over the digest, which it then
    /// leaves empty: the same without it says what is wrong.
    PushList {
        /// The push, without a digest.
        push: Command,
        /// The file for the digest.
        digest: PathBuf,
    },
    /// The plan ends with this exit code.
    End(u8),
    /// A file in the scratch directory, readable by its owner alone.
    Write {
        /// The file.
        to: PathBuf,
        /// Its content.
        content: Hidden,
    },
    /// The job's standard input becomes a file.
    Spool {
        /// The file.
        to: PathBuf,
    },
    /// A Git repository is fetched by the job itself, with the job's own means.
    Fetch {
        /// What.
        source: Source,
        /// The directory that it becomes.
        to: PathBuf,
    },
    /// A file that the builder wrote goes to where the job wants it; none is standard output.
    Deliver {
        /// The file in the scratch directory.
        from: PathBuf,
        /// Where it is wanted.
        to: Option<PathBuf>,
    },
    /// A line or more of our own on standard output, or in a file.
    Answer {
        /// What it says.
        answer: Answer,
        /// The file; none is standard output.
        to: Option<PathBuf>,
    },
}

/// All that a command line turns into.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Lines for standard error, before anything runs: what is left out, and why.
    pub notes: Vec<String>,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

/// What the translation may know of the job.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    /// A directory that job and builder share, for this call alone. It need not exist yet.
    pub scratch: &'a Path,
    /// The job's environment.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
}

/// A plan in the making.
pub(super) struct Planner<'a> {
    /// What the user called, for messages: `docker build`.
    pub(super) command: String,
    pub(super) call: Call<'a>,
    pub(super) plan: Plan,
    files: usize,
}

impl<'a> Planner<'a> {
    pub(super) fn new(command: String, call: Call<'a>) -> Self {
        Self {
            command,
            call,
            plan: Plan::default(),
            files: 0,
        }
    }

    pub(super) fn usage(&self, what: &str) -> Unavailable {
        Unavailable::usage(&self.command, what)
    }

    pub(super) fn refused(&self, what: &str, because: &str, instead: &str) -> Unavailable {
        Unavailable::refused(&format!("{} {what}", self.command), because, instead)
    }

    pub(super) fn note(&mut self, text: &str) {
        let note = format!("{}: {text}", self.command);
        if !self.plan.notes.contains(&note) {
            self.plan.notes.push(note);
        }
    }

    pub(super) fn step(&mut self, step: Step) {
        self.plan.steps.push(step);
    }

    pub(super) fn run<T: Into<String>>(&mut self, arguments: impl IntoIterator<Item = T>) {
        self.step(Step::Run(command(arguments, Output::Job)));
    }

    pub(super) fn capture<T: Into<String>>(&mut self, arguments: impl IntoIterator<Item = T>) {
        self.step(Step::Run(command(arguments, Output::Captured)));
    }

    pub(super) fn say(&mut self, answer: Answer) {
        self.step(Step::Answer { answer, to: None });
    }

    pub(super) fn print(&mut self, text: impl Into<String>) {
        self.say(Answer::Text(text.into()));
    }

    /// A file or directory of its own in the scratch directory.
    pub(super) fn scratch(&mut self, name: &str) -> PathBuf {
        self.files += 1;
        self.call.scratch.join(format!("{}-{name}", self.files))
    }

    /// A name in Buildah's storage that no other call uses.
    pub(super) fn scratch_image(&mut self) -> String {
        self.files += 1;
        let call = self.call.scratch.file_name().unwrap_or_default();
        let call = call.to_string_lossy().to_lowercase();
        let call = call.replace(|c: char| !c.is_ascii_alphanumeric(), "");
        format!("localhost/docker-{call}-{}:latest", self.files)
    }
}

/// `buildah manifest push --all` with these flags.
pub(super) fn push_list(
    flags: &[String],
    list: &str,
    target: &str,
    digest: &Path,
    output: Output,
) -> Step {
    let line = ["manifest", "push", "--all"].map(str::to_owned).into_iter();
    let line = line.chain(flags.iter().cloned());
    Step::PushList {
        push: command(line.chain([list.to_owned(), target.to_owned()]), output),
        digest: digest.to_owned(),
    }
}

impl Command {
    /// The same with `--digestfile`, which goes before what is not a flag.
    #[must_use]
    pub(crate) fn with_digest(&self, file: &Path) -> Self {
        let mut command = self.clone();
        let verb = command.arguments.iter().position(|word| word == "push");
        let at = verb.map_or(0, |verb| verb + 1);
        let flag = format!("--digestfile={}", text(file));
        command.arguments.insert(at, flag);
        command
    }
}

/// A command line whose input is the job's.
pub(super) fn command<T: Into<String>>(
    arguments: impl IntoIterator<Item = T>,
    output: Output,
) -> Command {
    Command {
        arguments: arguments.into_iter().map(Into::into).collect(),
        input: Input::Job,
        output,
    }
}

/// A path as an argument has it.
pub(super) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
