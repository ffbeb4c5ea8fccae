//! Starting the runner: its own process group, an empty mask, the terminal if there is one.
//!
//! Its dispositions are ours, the defaults. A terminal can be lent between fork and exec only.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::terminal::Terminal;
use linux::{posix_spawn, pre_exec};
use report::exit;

/// What to start, and how.
#[derive(Debug)]
pub struct Start {
    /// Program: a path, or a name that is looked up in the child's PATH.
    pub program: OsString,
    /// Arguments after the program's own name. Never a secret.
    pub arguments: Vec<OsString>,
    /// The whole environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Working directory.
    pub directory: PathBuf,
    /// How this runner is asked to end well.
    pub escalation: Escalation,
    /// What the runner reads.
    pub stdin: Input,
    /// Where it writes to, in place of our own stdout and stderr.
    pub output: Option<Output>,
}

/// A runner's stdin.
#[derive(Debug)]
pub enum Input {
    /// Ours.
    Inherited,
    /// Nothing.
    Empty,
    /// A pipe's or file's.
    From(OwnedFd),
}

/// A runner's stdout and stderr.
#[derive(Debug)]
pub struct Output {
    /// The first.
    pub stdout: OwnedFd,
    /// The second.
    pub stderr: OwnedFd,
}

/// The signals that end a runner, and their receivers.
#[derive(Debug, Clone, Copy)]
pub struct Escalation {
    /// The signal that requests a graceful end.
    pub graceful: Signal,
    /// The signal that follows if the runner is still there.
    pub term: Signal,
    /// The receiver of the first signal.
    pub graceful_to: Receiver,
    /// The receiver of the second signal.
    pub term_to: Receiver,
}

/// The receiver of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receiver {
    /// The runner and all in its process group.
    Group,
    /// The runner alone, which tells its own children.
    Runner,
}

impl Receiver {
    /// For the log.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Group => "runner's group",
            Self::Runner => "runner",
        }
    }
}

impl Escalation {
    /// Sends the group `graceful`, then SIGTERM.
    #[must_use]
    pub fn group(graceful: Signal) -> Self {
        Self {
            graceful,
            term: Signal::SIGTERM,
            graceful_to: Receiver::Group,
            term_to: Receiver::Group,
        }
    }
}

/// Why the runner did not start.
#[derive(Debug, thiserror::Error)]
#[error("cannot start {}: {source}{}", program.to_string_lossy(), self.hint())]
pub struct SpawnError {
    /// The program.
    pub program: OsString,
    /// What execve(2) or fork(2) said.
    pub source: std::io::Error,
    /// Whether there is such a file at all.
    found: bool,
}

impl SpawnError {
    /// What execve(2) leaves out: its ENOENT may mean another file than the one that was named.
    fn hint(&self) -> &'static str {
        if self.found && self.source.kind() == ErrorKind::NotFound {
            "; the program is there, but its interpreter (the first line of a script, or the loader), or the working directory, is not"
        } else {
            ""
        }
    }

    /// 127 where there is no such program, 126 where it cannot be executed, as a shell has it.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self.source.kind() {
            ErrorKind::NotFound => exit::NOT_FOUND,
            // execvp(3) says so too where a directory in PATH is closed to us.
            ErrorKind::PermissionDenied if !self.found => exit::NOT_FOUND,
            _ => exit::CANNOT_EXECUTE,
        }
    }
}

/// Starts the runner and returns its pid, which is its process group's id too.
///
/// # Errors
/// [`SpawnError`] where fork or exec failed.
pub fn spawn(start: Start, terminal: Option<&Terminal>) -> Result<Pid, SpawnError> {
    let started = if terminal.is_some() {
        with_terminal(&start)
    } else {
        without_terminal(&start)
    };
    started.map(Pid::from_raw).map_err(|source| {
        let path = start.environment.iter().find(|(name, _)| name == "PATH");
        let path = path.map(|(_, value)| value.as_os_str());
        SpawnError {
            found: exists(&start.program, &start.directory, path),
            program: start.program,
            source,
        }
    })
}

fn without_terminal(start: &Start) -> io::Result<i32> {
    let null = match start.stdin {
        Input::Empty => Some(File::open("/dev/null")?),
        Input::Inherited | Input::From(_) => None,
    };
    let given = match &start.stdin {
        Input::From(input) => Some(input.as_fd()),
        Input::Inherited | Input::Empty => null.as_ref().map(AsFd::as_fd),
    };
    posix_spawn::spawn(&posix_spawn::Program {
        name: &start.program,
        arguments: &start.arguments,
        environment: &start.environment,
        directory: &start.directory,
        stdin: given,
        stdout: start.output.as_ref().map(|output| output.stdout.as_fd()),
        stderr: start.output.as_ref().map(|output| output.stderr.as_fd()),
    })
}

fn with_terminal(start: &Start) -> io::Result<i32> {
    let mut command = Command::new(&start.program);
    command
        .args(&start.arguments)
        .env_clear()
        .envs(start.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(&start.directory)
        .process_group(0);
    match &start.stdin {
        Input::Inherited => {}
        Input::Empty => {
            command.stdin(Stdio::null());
        }
        Input::From(input) => {
            command.stdin(input.try_clone()?);
        }
    }
    if let Some(output) = &start.output {
        command.stdout(output.stdout.try_clone()?);
        command.stderr(output.stderr.try_clone()?);
    }
    pre_exec::take_foreground(&mut command);
    let child = command.spawn()?;
    Ok(i32::try_from(child.id()).unwrap_or(i32::MAX))
}

/// Whether a program is there, executable or not: as a path, or by its name in a directory of PATH.
fn exists(program: &OsStr, directory: &Path, path: Option<&OsStr>) -> bool {
    if program.as_bytes().contains(&b'/') {
        // A directory that is closed to us says nothing.
        return directory.join(program).try_exists().unwrap_or(true);
    }
    let mut directories = std::env::split_paths(path.unwrap_or_default());
    directories.any(|directory| directory.join(program).exists())
}
