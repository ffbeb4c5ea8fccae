//! Trials: what can only be known by doing it is done in a child of our own, with a time limit.
//!
//! The child is a copy of this process, or this program again (`supervisor trial NAME …`) where there are several
//! threads; whatever it mounts or unshares ends with it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::unistd::{Pid, pipe2};
use serde::de::DeserializeOwned;

pub use super::handshake::Verdict;
use super::handshake::{GO, READY};
use super::ready::{self, Want};
use super::{fork, idmap, raw};
use report::exit;

/// How often a child that takes long is asked after.
const TICK: Duration = Duration::from_millis(100);

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The child could not be started, or its pipes broke.
    #[error("trial {name} could not run: {source}")]
    Io {
        /// The trial.
        name: &'static str,
        /// The reason.
        source: std::io::Error,
    },
    /// It took too long and was killed.
    #[error("trial {name} was still not done after {} ms", limit.as_millis())]
    TimedOut {
        /// The trial.
        name: &'static str,
        /// The time limit.
        limit: Duration,
    },
    /// It ended without a verdict.
    #[error("trial {name} ended with {status} and without a verdict: {said}")]
    Silent {
        /// The trial.
        name: &'static str,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The end of its stderr.
        said: String,
    },
}

/// The command line of trial `name` in this very program; arguments may follow.
#[must_use]
pub fn again(name: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args(["trial", name]);
    command
}

/// A trial's child, by name and arguments: says what it found on stdout, and gives its exit code.
pub type Inside = fn(&str, &[OsString]) -> u8;

/// How a child ends that has nothing but a verdict to say; `None` where there is no such trial.
#[must_use]
pub fn conclude(verdict: Option<Verdict>) -> u8 {
    let Some(verdict) = verdict else {
        return exit::USAGE;
    };
    println!("{}", serde_json::to_string(&verdict).unwrap_or_default());
    0
}

/// A trial to run.
#[derive(Debug)]
pub struct Trial {
    /// Its name on our hidden command line.
    pub name: &'static str,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// What a copy of this process does; without it the child is always this program again.
    pub inside: Option<Inside>,
    /// Whether the child makes a user namespace whose ids we map.
    pub mapped: bool,
    /// Killed when it takes longer.
    pub limit: Duration,
}

impl Trial {
    /// Runs the trial and waits for its verdict.
    ///
    /// # Errors
    /// [`TrialError`] where the trial proved nothing.
    pub fn run(&self) -> Result<Verdict, TrialError> {
        self.ask()
    }

    /// The same for a child whose last line of JSON says more than a verdict.
    ///
    /// It must read a [`Verdict`] too: that is what is said where ids cannot be mapped.
    ///
    /// # Errors
    /// [`TrialError`] where the child said no such thing.
    pub fn ask<T: DeserializeOwned>(&self) -> Result<T, TrialError> {
        self.ask_while(&mut |_| true)
    }

    /// The same for a child that takes long: `keep_on` hears all that it has said, now and then, and may end it.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub fn ask_while<T: DeserializeOwned>(
        &self,
        keep_on: &mut dyn FnMut(&str) -> bool,
    ) -> Result<T, TrialError> {
        let name = self.name;
        let io = |source| TrialError::Io { name, source };
        let mut child = self.start().map_err(io)?;
        let end = Instant::now() + self.limit;
        let talked = self.converse(&mut child, end, keep_on);
        // Whatever was said, the child does not outlive its trial.
        let _ = raw::kill(child.pid.as_raw(), libc::SIGKILL);
        let mut said = String::new();
        // A grandchild may hold the pipe open: take what is there, wait for nothing.
        let soon = Instant::now() + Duration::from_millis(10);
        let _ = read_until(&mut child.stderr, soon, &mut said);
        let status = raw::wait(child.pid).map_err(|errno| io(errno.into()))?;
        let status = ExitStatus::from_raw(status);
        let lines = match talked {
            Ok(lines) => lines,
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                let limit = self.limit;
                return Err(TrialError::TimedOut { name, limit });
            }
            Err(error) => return Err(io(error)),
        };
        let verdict = lines
            .lines()
            .rev()
            .find_map(|line| serde_json::from_str(line).ok());
        let said = said.trim().to_owned();
        verdict.ok_or(TrialError::Silent { name, status, said })
    }

    fn start(&self) -> std::io::Result<Running> {
        if let Some(inside) = self.inside {
            match self.copy(inside) {
                Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {}
                started => return started,
            }
        }
        let mut child = again(self.name)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
        match (child.stdin.take(), child.stdout.take(), child.stderr.take()) {
            (Some(stdin), Some(stdout), Some(stderr)) => Ok(Running {
                pid,
                stdin: Some(OwnedFd::from(stdin).into()),
                stdout: OwnedFd::from(stdout).into(),
                stderr: OwnedFd::from(stderr).into(),
            }),
            _ => Err(std::io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn copy(&self, inside: Inside) -> std::io::Result<Running> {
        let [input, output, errors] = [(); 3].map(|()| pipe2(OFlag::O_CLOEXEC));
        let ((stdin, to), (from, stdout), (errors, stderr)) = (input?, output?, errors?);
        let pid = fork::child([stdin.as_fd(), stdout.as_fd(), stderr.as_fd()], || {
            inside(self.name, &self.arguments)
        })?;
        Ok(Running {
            pid,
            stdin: Some(to.into()),
            stdout: from.into(),
            stderr: errors.into(),
        })
    }

    /// Maps the child's ids when it asks for it, then reads all that it says.
    fn converse(
        &self,
        child: &mut Running,
        end: Instant,
        keep_on: &mut dyn FnMut(&str) -> bool,
    ) -> std::io::Result<String> {
        let mut said = String::new();
        let stdin = child.stdin.take();
        let stdout = &mut child.stdout;
        if self.mapped {
            read_line(stdout, end, &mut said)?;
            if said != READY {
                return read_until(stdout, end, &mut said).map(|()| said);
            }
            said.clear();
            if let Err(error) = idmap::write(child.pid) {
                let refused = Verdict::refused(error.to_string(), Errno::EPERM);
                return Ok(serde_json::to_string(&refused)?);
            }
            if let Some(mut stdin) = stdin.as_ref() {
                stdin.write_all(GO)?;
            }
        }
        drop(stdin);
        while keep_on(&said) {
            let pause = (Instant::now() + TICK).min(end);
            match read_until(&mut *stdout, pause, &mut said) {
                Err(error) if error.kind() == std::io::ErrorKind::TimedOut && pause < end => {}
                read => return read.map(|()| said),
            }
        }
        Err(std::io::ErrorKind::TimedOut.into())
    }
}

/// A trial's child.
struct Running {
    pid: Pid,
    stdin: Option<File>,
    stdout: File,
    stderr: File,
}

fn read_until(mut from: impl Read + AsFd, end: Instant, into: &mut String) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        ready::wait_until(&from, Want::Read, end)?;
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            n => into.push_str(&String::from_utf8_lossy(&buffer[..n])),
        }
    }
}

fn read_line(
    from: &mut (impl Read + AsFd),
    end: Instant,
    into: &mut String,
) -> std::io::Result<()> {
    let mut byte = [0];
    while !into.ends_with('\n') {
        ready::wait_until(from, Want::Read, end)?;
        if from.read(&mut byte)? == 0 {
            break;
        }
        into.push(char::from(byte[0]));
    }
    Ok(())
}
