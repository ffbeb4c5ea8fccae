//! Executes a plan. The caller decides where Buildah runs.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::created;
use super::digests::{self, Digests, Remembered};
use super::output::OutputError;
use super::plan::{Command, Plan, SavedImage, Step};
use super::planner::JobContext;
use super::translate::translate;
use super::verbs::Program;

mod archive;
mod containers;
mod copy_tree;
mod fetch;
mod files;
mod handover;
mod json_bytes;
mod load;
mod place;
mod push;
mod registry_inspect;
mod scratch;
mod tar;
#[cfg(test)]
mod tests;

use fetch::FetchError;
use files::{copy_in, create_private};
use handover::HandOverError;
use place::Shared;
use scratch::Scratch;

/// The exit code of a command line that cannot be carried out. Docker uses it too.
const EXIT_ERROR: u8 = 125;
/// An exit code above this is 128 + the number of the signal that ended the command.
const SIGNALLED: u8 = 128;

/// Runs Buildah, in this container or in the builder's.
pub trait Buildah {
    /// Runs one command to its end.
    ///
    /// # Errors
    /// The I/O error that prevented the command from running or from ending. A command that fails is no error.
    fn run(&mut self, command: &Command) -> io::Result<Exited>;
}

/// The end of a command.
#[derive(Debug, Default)]
pub struct Exited {
    /// The exit code.
    pub code: u8,
    /// The bytes of standard output, if it was captured.
    pub stdout: Vec<u8>,
}

/// Why a plan was not carried out.
#[derive(Debug, thiserror::Error)]
enum ExecuteError {
    /// Buildah did not run.
    #[error("buildah {verb}: {source}")]
    Buildah {
        /// The first word of the command.
        verb: String,
        /// The error of the [`Buildah`] implementation.
        source: io::Error,
    },
    /// A file could not be read, written or removed.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file that the command line names could not be read.
    #[error("{what}: cannot read {}: {source}", path.display())]
    Unreadable {
        /// The flag that names it.
        what: String,
        /// The file, as the user wrote it.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The variable HOME names no directory for the containers of `docker create`.
    #[error(
        "create keeps the container in a file in the home directory: set HOME to an absolute path"
    )]
    NoHome,
    /// The Git repository of a context was not fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Something outside of the shared directory was not handed over.
    #[error(transparent)]
    HandOver(#[from] HandOverError),
    /// The client's own output could not be made.
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// Translates a command line and executes it with this process's environment and standard streams. Returns the exit code.
/// Errors go to standard error, and the exit code is then 125.
pub fn run(program: Program, arguments: &[String], buildah: &mut dyn Buildah) -> u8 {
    let scratch = scratch::path();
    let variable = |name: &str| std::env::var(name).ok();
    let shared = Shared::find();
    let job = JobContext {
        scratch: &scratch,
        variable: &variable,
        place: &|path| shared.place(path),
    };
    let (mut stdout, mut stderr) = (io::stdout(), io::stderr());
    let result = match translate(program, arguments, job) {
        Ok(plan) => {
            let files = Files {
                scratch: &scratch,
                digests: digests::file(variable("HOME").as_deref()),
                containers: created::directory(variable("HOME").as_deref()),
            };
            execute(&plan, &files, buildah, &mut stdout, &mut stderr)
        }
        Err(error) => {
            let _ = writeln!(stderr, "{error}");
            return EXIT_ERROR;
        }
    };
    result.unwrap_or_else(|error| {
        let _ = writeln!(stderr, "{}: {error}", program.name());
        EXIT_ERROR
    })
}

/// The files of one call.
struct Files<'a> {
    /// The scratch directory, which need not exist yet.
    scratch: &'a Path,
    /// The file with the digests of registries.
    digests: Option<PathBuf>,
    /// The directory with the containers of `docker create`.
    containers: Option<PathBuf>,
}

/// Runs all steps of a plan, and removes the scratch directory at the end. Returns the exit code of the first step that
/// failed, or 0.
fn execute(
    plan: &Plan,
    files: &Files<'_>,
    buildah: &mut dyn Buildah,
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
) -> Result<u8, ExecuteError> {
    let scratch = files.scratch;
    for notice in &plan.notices {
        // Standard error may be closed. The plan runs then too.
        let _ = writeln!(stderr, "{notice}");
    }
    let made = plan.steps.iter().any(needs_scratch);
    let made = made.then(|| Scratch::create(scratch)).transpose();
    let made = made.map_err(file_error(scratch))?;
    let mut executor = Executor {
        buildah,
        stdout,
        stderr,
        digests: files.digests.clone(),
        containers: files.containers.clone(),
        captured: Vec::new(),
    };
    let result = executor.run_steps(&plan.steps);
    if let Some(made) = made {
        let removed = made.remove().map_err(file_error(scratch));
        return result.and_then(|code| removed.map(|()| code.unwrap_or(0)));
    }
    result.map(|code| code.unwrap_or(0))
}

/// Returns whether a step may need files. A command may write some.
fn needs_scratch(step: &Step) -> bool {
    match step {
        Step::Print { to, .. } => to.is_some(),
        Step::Exit(_)
        | Step::Notice(_)
        | Step::CreateContainer { .. }
        | Step::RemoveContainers { .. } => false,
        _ => true,
    }
}

fn file_error(path: &Path) -> impl FnOnce(io::Error) -> ExecuteError {
    let path = path.to_owned();
    |source| ExecuteError::File { path, source }
}

struct Executor<'a> {
    buildah: &'a mut dyn Buildah,
    stdout: &'a mut dyn Write,
    stderr: &'a mut dyn Write,
    /// The file with the digests of registries.
    digests: Option<PathBuf>,
    /// The directory with the containers of `docker create`.
    containers: Option<PathBuf>,
    /// The standard output of the commands since the last [`Step::Print`].
    captured: Vec<String>,
}

impl Executor<'_> {
    /// Returns the exit code if one of these steps ends the plan.
    fn run_steps(&mut self, steps: &[Step]) -> Result<Option<u8>, ExecuteError> {
        for step in steps {
            if let Some(code) = self.run_step(step)? {
                return Ok(Some(code));
            }
        }
        Ok(None)
    }

    fn run_step(&mut self, step: &Step) -> Result<Option<u8>, ExecuteError> {
        match step {
            Step::Run(command) => {
                let code = self.capture(command)?;
                return Ok(Some(code).filter(|code| *code != 0));
            }
            Step::PushList { push, digest } => return self.push_list(push, digest),
            Step::Try(command) => {
                let code = self.capture(command)?;
                return Ok(Some(code).filter(|code| *code > SIGNALLED));
            }
            Step::If {
                test,
                then,
                otherwise,
            } => {
                let code = self.run(test)?.code;
                // A test that a signal ended has no answer.
                if code > SIGNALLED {
                    return Ok(Some(code));
                }
                return self.run_steps(if code == 0 { then } else { otherwise });
            }
            Step::CreateContainer { image, name } => {
                return self.create_container(image, name.as_deref());
            }
            Step::CopyFiles(copy) => return self.copy_files(copy),
            Step::RemoveContainers { names, force } => {
                return self.remove_containers(names, *force);
            }
            Step::InspectRegistry(asked) => return self.inspect_registry(asked),
            Step::PushAll { repository, push } => return self.push_all(repository, push),
            Step::RunOnId { iid, command } => {
                let id = fs::read_to_string(iid).map_err(file_error(iid))?;
                let mut command = command.clone();
                let at = command.arguments.len().saturating_sub(2);
                id.trim().clone_into(&mut command.arguments[at]);
                let code = self.capture(&command)?;
                return Ok(Some(code).filter(|code| *code != 0));
            }
            Step::Save { images, to } => self.save(images, to.as_deref())?,
            Step::Unpack { from, to } => archive::unpack(from, to).map_err(file_error(to))?,
            Step::Load(load) => return self.load(load),
            Step::CopyIn { from, to, what } => {
                copy_in(from, to).map_err(|source| ExecuteError::Unreadable {
                    what: what.clone(),
                    path: from.clone(),
                    source,
                })?;
            }
            Step::Remember(image) => self.remember(image),
            Step::Notice(line) => {
                let _ = writeln!(self.stderr, "{line}");
            }
            Step::Exit(code) => return Ok(Some(*code)),
            Step::WriteSecret { path, content } => create_private(path)
                .and_then(|mut file| file.write_all(content.expose().as_bytes()))
                .map_err(file_error(path))?,
            Step::SaveStdin { path } => create_private(path)
                .and_then(|mut file| io::copy(&mut io::stdin().lock(), &mut file))
                .map(drop)
                .map_err(file_error(path))?,
            Step::Fetch { source, directory } => fetch::fetch(source, directory)?,
            Step::HandOver(what) => handover::carry_out(what)?,
            Step::CopyOut { from, to } => self.copy_out(from, to.as_deref())?,
            Step::Print { output, to } => {
                let captured: Vec<String> = self.captured.drain(..).collect();
                let captured = captured.into_iter().filter(|text| !text.is_empty());
                let known = Digests::read(self.digests.as_deref());
                let text = output.text(&captured.collect::<Vec<_>>(), &known)?;
                match to {
                    Some(to) => fs::write(to, text).map_err(file_error(to))?,
                    None => self.print(text.as_bytes())?,
                }
            }
        }
        Ok(None)
    }

    /// Runs a command and keeps its standard output. Returns the exit code.
    fn capture(&mut self, command: &Command) -> Result<u8, ExecuteError> {
        let exited = self.run(command)?;
        let stdout = String::from_utf8_lossy(&exited.stdout);
        self.captured.push(stdout.into_owned());
        Ok(exited.code)
    }

    /// Keeps a digest. Without it the image shows no digest, and the command has done its work all the same.
    fn remember(&mut self, image: &Remembered) {
        if let Some(file) = &self.digests
            && let Err(error) = digests::remember(file, image, &self.captured)
        {
            let _ = writeln!(
                self.stderr,
                "{}: {error}; the image shows no digest",
                file.display()
            );
        }
    }

    fn run(&mut self, command: &Command) -> Result<Exited, ExecuteError> {
        let verb = || command.arguments.first().cloned().unwrap_or_default();
        let result = self.buildah.run(command);
        result.map_err(|source| ExecuteError::Buildah {
            verb: verb(),
            source,
        })
    }

    /// Copies the content. The builder's file may belong to another user than the job.
    fn copy_out(&mut self, from: &Path, to: Option<&Path>) -> Result<(), ExecuteError> {
        let mut file = fs::File::open(from).map_err(file_error(from))?;
        let (copied, target) = match to {
            Some(to) => {
                let created = fs::File::create(to);
                (created.and_then(|mut to| io::copy(&mut file, &mut to)), to)
            }
            None => (io::copy(&mut file, self.stdout), from),
        };
        copied.map(drop).map_err(file_error(target))
    }

    fn save(&mut self, images: &[SavedImage], to: Option<&Path>) -> Result<(), ExecuteError> {
        let written = match to {
            Some(to) => fs::File::create(to)
                .and_then(|file| archive::join(images, &mut io::BufWriter::new(file))),
            None => archive::join(images, self.stdout),
        };
        written.map_err(file_error(to.unwrap_or(Path::new("standard output"))))
    }

    fn print(&mut self, text: &[u8]) -> Result<(), ExecuteError> {
        let written = self.stdout.write_all(text);
        let flushed = written.and_then(|()| self.stdout.flush());
        flushed.map_err(file_error(Path::new("standard output")))
    }
}
