//! Carries a plan out, whoever runs Buildah.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::answer::AnswerError;
use super::plan::{Call, Command, Plan, Step};
use super::{Program, REFUSED, translate};

mod fetch;

/// Who runs Buildah: this container, or the builder.
pub trait Builder {
    /// Runs one command line to its end.
    ///
    /// # Errors
    /// Where it could not be run at all.
    fn run(&mut self, command: &Command) -> io::Result<Ended>;
}

/// How a command ended.
#[derive(Debug, Default)]
pub struct Ended {
    /// Its exit code.
    pub code: u8,
    /// Its standard output, where that was to be captured.
    pub output: Vec<u8>,
}

/// Why a plan could not be carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PerformError {
    /// Buildah could not be run.
    #[error("buildah {verb}: {source}")]
    Builder {
        /// Which command.
        verb: String,
        /// Why not.
        source: io::Error,
    },
    /// A file of the job's.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The context.
    #[error(transparent)]
    Fetch(#[from] fetch::FetchError),
    /// What we were to say.
    #[error(transparent)]
    Answer(#[from] AnswerError),
}

/// All of it: translates, carries out, and says on standard error what went wrong. Gives the exit code.
pub fn respond(program: Program, arguments: &[String], builder: &mut dyn Builder) -> u8 {
    let scratch = scratch();
    let variable = |name: &str| std::env::var(name).ok();
    let call = Call {
        scratch: &scratch,
        variable: &variable,
    };
    let (mut stdout, mut stderr) = (io::stdout(), io::stderr());
    let done = match translate(program, arguments, call) {
        Ok(plan) => perform(&plan, &scratch, builder, &mut stdout, &mut stderr),
        Err(unavailable) => {
            let _ = writeln!(stderr, "{unavailable}");
            return REFUSED;
        }
    };
    done.unwrap_or_else(|error| {
        let _ = writeln!(stderr, "{}: {error}", program.name());
        REFUSED
    })
}

/// In a job, TMPDIR lies beneath the workspace and beside the checkout: the builder sees it, and no context has it inside.
fn scratch() -> PathBuf {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let unique = now.map_or(0, |since| since.subsec_nanos());
    let name = format!("docker-{}-{unique}", std::process::id());
    std::env::temp_dir().join(name)
}

/// Carries out all steps; gives the exit code of the first that failed, or 0. The scratch directory is gone afterwards.
///
/// # Errors
/// [`PerformError`], for the user.
pub(crate) fn perform(
    plan: &Plan,
    scratch: &Path,
    builder: &mut dyn Builder,
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
) -> Result<u8, PerformError> {
    for note in &plan.notes {
        // Nobody may be listening.
        let _ = writeln!(stderr, "{note}");
    }
    let made = plan.steps.iter().any(needs_scratch);
    if made {
        let mut directory = fs::DirBuilder::new();
        directory.mode(0o700).create(scratch).map_err(at(scratch))?;
    }
    let mut work = Work {
        builder,
        stdout,
        said: Vec::new(),
    };
    let ended = work.all(&plan.steps);
    if made {
        let removed = fs::remove_dir_all(scratch).map_err(at(scratch));
        return ended.and_then(|code| removed.map(|()| code.unwrap_or(0)));
    }
    ended.map(|code| code.unwrap_or(0))
}

/// Whether a step may have to do with files. A command may write some.
fn needs_scratch(step: &Step) -> bool {
    match step {
        Step::Answer { to, .. } => to.is_some(),
        Step::End(_) => false,
        _ => true,
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> PerformError {
    let path = path.to_owned();
    |source| PerformError::File { path, source }
}

struct Work<'a> {
    builder: &'a mut dyn Builder,
    stdout: &'a mut dyn Write,
    said: Vec<String>,
}

impl Work<'_> {
    /// The exit code with which the plan ends before its end.
    fn all(&mut self, steps: &[Step]) -> Result<Option<u8>, PerformError> {
        for step in steps {
            if let Some(code) = self.one(step)? {
                return Ok(Some(code));
            }
        }
        Ok(None)
    }

    fn one(&mut self, step: &Step) -> Result<Option<u8>, PerformError> {
        match step {
            Step::Run(command) => {
                let ended = self.run(command)?;
                self.said
                    .push(String::from_utf8_lossy(&ended.output).into_owned());
                return Ok(Some(ended.code).filter(|code| *code != 0));
            }
            Step::PushList { push, digest } => return self.push_list(push, digest),
            Step::Try(command) => drop(self.run(command)?),
            Step::Either { test, yes, no } => {
                let next = if self.run(test)?.code == 0 { yes } else { no };
                return self.all(next);
            }
            Step::End(code) => return Ok(Some(*code)),
            Step::Write { to, content } => {
                let file = OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(to);
                let written = file.and_then(|mut file| file.write_all(content.reveal().as_bytes()));
                written.map_err(at(to))?;
            }
            Step::Spool { to } => {
                let file = OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(to);
                file.and_then(|mut file| io::copy(&mut io::stdin().lock(), &mut file))
                    .map_err(at(to))?;
            }
            Step::Fetch { source, to } => fetch::fetch(source, to)?,
            Step::Deliver { from, to } => self.deliver(from, to.as_deref())?,
            Step::Answer { answer, to } => {
                let said: Vec<String> = self
                    .said
                    .drain(..)
                    .filter(|text| !text.is_empty())
                    .collect();
                let text = answer.text(&said)?;
                match to {
                    Some(to) => fs::write(to, text).map_err(at(to))?,
                    None => self.print(text.as_bytes())?,
                }
            }
        }
        Ok(None)
    }

    fn push_list(&mut self, push: &Command, digest: &Path) -> Result<Option<u8>, PerformError> {
        let written = || fs::read_to_string(digest).is_ok_and(|text| !text.trim().is_empty());
        for command in [&push.with_digest(digest), push, &push.with_digest(digest)] {
            let code = self.run(command)?.code;
            if code != 0 {
                return Ok(Some(code));
            }
            if written() {
                return Ok(None);
            }
        }
        Err(at(digest)(io::ErrorKind::UnexpectedEof.into()))
    }

    fn run(&mut self, command: &Command) -> Result<Ended, PerformError> {
        self.builder
            .run(command)
            .map_err(|source| PerformError::Builder {
                verb: command.arguments.first().cloned().unwrap_or_default(),
                source,
            })
    }

    /// The builder's file belongs to the job only where both have one user; its content is copied either way.
    fn deliver(&mut self, from: &Path, to: Option<&Path>) -> Result<(), PerformError> {
        let mut file = fs::File::open(from).map_err(at(from))?;
        match to {
            Some(to) => {
                let copied = fs::File::create(to).and_then(|mut to| io::copy(&mut file, &mut to));
                copied.map_err(at(to)).map(drop)
            }
            None => io::copy(&mut file, self.stdout).map_err(at(from)).map(drop),
        }
    }

    fn print(&mut self, text: &[u8]) -> Result<(), PerformError> {
        let written = self
            .stdout
            .write_all(text)
            .and_then(|()| self.stdout.flush());
        written.map_err(at(Path::new("standard output")))
    }
}
