//! Starting the runner: its own process group, an empty mask, the terminal if there is one.
//!
//! Its dispositions are ours, the defaults. Without a terminal to lend, the standard library starts it by
//! posix_spawn(3), which copies no page table; with one, between fork and exec only async-signal-safe calls are
//! made, signal-safety(7).
#![allow(unsafe_code)]

use std::ffi::{OsStr, OsString};
use std::io::{ErrorKind, stdin};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::libc;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpid, tcsetpgrp};

use super::terminal::Terminal;
use crate::exit;
use crate::sys::raw;

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
    pub manner: Manner,
    /// Becomes the runner's stdin in place of ours.
    pub stdin: Option<Stdio>,
}

/// How a runner is asked to end.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// The signal that asks it to end well.
    pub graceful: Signal,
    /// The signal that follows where that did not help.
    pub insisting: Signal,
    /// Who gets the first of them.
    pub graceful_to: Receiver,
    /// Who gets the second.
    pub insisting_to: Receiver,
}

/// Who is sent a signal.
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
    pub fn name(self) -> &'static str {
        match self {
            Self::Group => "runner's group",
            Self::Runner => "runner",
        }
    }
}

impl Manner {
    /// The group is asked with `graceful`, then with SIGTERM.
    #[must_use]
    pub fn group(graceful: Signal) -> Self {
        Self {
            graceful,
            insisting: Signal::SIGTERM,
            graceful_to: Receiver::Group,
            insisting_to: Receiver::Group,
        }
    }
}

/// Why the runner did not start.
#[derive(Debug, thiserror::Error)]
#[error("cannot start {}: {source}", program.to_string_lossy())]
pub struct SpawnError {
    /// The program.
    pub program: OsString,
    /// What execve(2) or fork(2) said.
    pub source: std::io::Error,
    /// Whether there is such a file at all.
    found: bool,
}

impl SpawnError {
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
    let mut command = Command::new(&start.program);
    command
        .args(&start.arguments)
        .env_clear()
        .envs(start.environment)
        .current_dir(&start.directory)
        .process_group(0);
    if let Some(input) = start.stdin {
        command.stdin(input);
    }
    if terminal.is_some() {
        // SAFETY: the function calls signal, tcsetpgrp and getpid only, and allocates nothing.
        unsafe { command.pre_exec(take_terminal) };
    }
    match command.spawn() {
        Ok(child) => Ok(Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX))),
        Err(source) => {
            let path = command.get_envs().find(|(name, _)| *name == "PATH");
            let found = exists(&start.program, path.and_then(|(_, value)| value));
            Err(SpawnError {
                program: start.program,
                source,
                found,
            })
        }
    }
}

/// Whether a program is there, executable or not: as a path, or by its name in a directory of PATH.
fn exists(program: &OsStr, path: Option<&OsStr>) -> bool {
    if program.as_bytes().contains(&b'/') {
        return true;
    }
    let mut directories = std::env::split_paths(path.unwrap_or_default());
    directories.any(|directory| directory.join(program).exists())
}

/// In the child, which is the leader of its group and has an empty mask by now.
fn take_terminal() -> std::io::Result<()> {
    // Still in the background here, where tcsetpgrp raises SIGTTOU unless that is ignored.
    // SAFETY: SIG_IGN installs no code of ours.
    unsafe { libc::signal(libc::SIGTTOU, libc::SIG_IGN) };
    // The terminal may have gone meanwhile; the runner then starts without one.
    let _ = tcsetpgrp(stdin(), getpid());
    raw::default_disposition(libc::SIGTTOU)?;
    Ok(())
}
