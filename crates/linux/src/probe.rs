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

pub use super::handshake::ProbeResult;
use super::handshake::{GO, READY};
use super::poll::{self, Interest};
use super::{fork, idmap, libc_ext};
use report::exit;

/// How often a child that takes long is asked after.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
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
    /// It ended without a result.
    #[error("trial {name} ended with {status} and without a result: {said}")]
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
pub fn command(name: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args(["probe", name]);
    command
}

/// A trial's child, by name and arguments: says what it found on stdout, and gives its exit code.
pub type ProbeFn = fn(&str, &[OsString]) -> u8;

/// How a child ends that has nothing but a result to say; `None` where there is no such trial.
#[must_use]
pub fn print_result(result: Option<ProbeResult>) -> u8 {
    let Some(result) = result else {
        return exit::USAGE;
    };
    println!("{}", serde_json::to_string(&result).unwrap_or_default());
    0
}

/// A trial to run.
#[derive(Debug)]
pub struct Probe {
    /// Its name on our hidden command line.
    pub name: &'static str,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// What a copy of this process does; without it the child is always this program again.
    pub forked: Option<ProbeFn>,
    /// Whether the child makes a user namespace whose ids we map.
    pub mapped: bool,
    /// Killed when it takes longer.
    pub timeout: Duration,
}

impl Probe {
    /// Runs the trial and waits for its result.
    ///
    /// # Errors
    /// [`ProbeError`] where the trial proved nothing.
    pub fn run(&self) -> Result<ProbeResult, ProbeError> {
        self.run_as()
    }

    /// The same for a child whose last line of JSON says more than a result.
    ///
    /// It must read a [`ProbeResult`] too: that is what is said where ids cannot be mapped.
    ///
    /// # Errors
    /// [`ProbeError`] where the child said no such thing.
    pub fn run_as<T: DeserializeOwned>(&self) -> Result<T, ProbeError> {
        self.run_while(&mut |_| true)
    }

    /// The same for a child that takes long: `keep_on` hears all that it has said, now and then, and may end it.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub fn run_while<T: DeserializeOwned>(
        &self,
        keep_on: &mut dyn FnMut(&str) -> bool,
    ) -> Result<T, ProbeError> {
        let name = self.name;
        let io = |source| ProbeError::Io { name, source };
        let mut child = self.start().map_err(io)?;
        let end = Instant::now() + self.timeout;
        let talked = self.exchange(&mut child, end, keep_on);
        // Whatever was said, the child does not outlive its trial.
        let _ = libc_ext::kill(child.pid.as_raw(), libc::SIGKILL);
        let mut said = String::new();
        // A grandchild may hold the pipe open: take what is there, wait for nothing.
        let soon = Instant::now() + Duration::from_millis(10);
        let _ = read_until(&mut child.stderr, soon, &mut said);
        let status = libc_ext::wait(child.pid).map_err(|errno| io(errno.into()))?;
        let status = ExitStatus::from_raw(status);
        let lines = match talked {
            Ok(lines) => lines,
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                let limit = self.timeout;
                return Err(ProbeError::TimedOut { name, limit });
            }
            Err(error) => return Err(io(error)),
        };
        let result = lines
            .lines()
            .rev()
            .find_map(|line| serde_json::from_str(line).ok());
        let said = said.trim().to_owned();
        result.ok_or(ProbeError::Silent { name, status, said })
    }

    fn start(&self) -> std::io::Result<Child> {
        if let Some(forked) = self.forked {
            match self.start_forked(forked) {
                Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {}
                started => return started,
            }
        }
        let mut child = command(self.name)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
        match (child.stdin.take(), child.stdout.take(), child.stderr.take()) {
            (Some(stdin), Some(stdout), Some(stderr)) => Ok(Child {
                pid,
                stdin: Some(OwnedFd::from(stdin).into()),
                stdout: OwnedFd::from(stdout).into(),
                stderr: OwnedFd::from(stderr).into(),
            }),
            _ => Err(std::io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn start_forked(&self, forked: ProbeFn) -> std::io::Result<Child> {
        let [input, output, errors] = [(); 3].map(|()| pipe2(OFlag::O_CLOEXEC));
        let ((stdin, to), (from, stdout), (errors, stderr)) = (input?, output?, errors?);
        let pid = fork::fork_and_run([stdin.as_fd(), stdout.as_fd(), stderr.as_fd()], || {
            forked(self.name, &self.arguments)
        })?;
        Ok(Child {
            pid,
            stdin: Some(to.into()),
            stdout: from.into(),
            stderr: errors.into(),
        })
    }

    /// Maps the child's ids when it asks for it, then reads all that it says.
    fn exchange(
        &self,
        child: &mut Child,
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
            if let Err(error) = idmap::write_maps(child.pid) {
                let refused = ProbeResult::refused(error.to_string(), Errno::EPERM);
                return Ok(serde_json::to_string(&refused)?);
            }
            if let Some(mut stdin) = stdin.as_ref() {
                stdin.write_all(GO)?;
            }
        }
        drop(stdin);
        while keep_on(&said) {
            let pause = (Instant::now() + POLL_INTERVAL).min(end);
            match read_until(&mut *stdout, pause, &mut said) {
                Err(error) if error.kind() == std::io::ErrorKind::TimedOut && pause < end => {}
                read => return read.map(|()| said),
            }
        }
        Err(std::io::ErrorKind::TimedOut.into())
    }
}

/// A trial's child.
struct Child {
    pid: Pid,
    stdin: Option<File>,
    stdout: File,
    stderr: File,
}

fn read_until(mut from: impl Read + AsFd, end: Instant, into: &mut String) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        poll::wait_until(&from, Interest::Read, end)?;
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
        poll::wait_until(from, Interest::Read, end)?;
        if from.read(&mut byte)? == 0 {
            break;
        }
        into.push(char::from(byte[0]));
    }
    Ok(())
}
