//! Probes: children that try an operation to prove that it works, with a time limit.
//!
//! The child is a fork of this process. If there are several threads, it is this program again (`supervisor probe NAME …`).
//! Its mounts and namespaces end with it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::unistd::{Pid, pipe2};
use report::exit;
use serde::de::DeserializeOwned;

pub use super::handshake::ProbeResult;
use super::handshake::{self, Handshake};
use super::poll::{self, Interest};
use super::{fork, idmap, libc_ext};

/// How long a child may run between two calls of `keep_on`.
const KEEP_ON_INTERVAL: Duration = Duration::from_millis(100);

/// The reason why a probe has no result.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The child could not be started, or its pipes broke.
    #[error("probe {name} could not run: {source}")]
    Io {
        /// The name of the probe.
        name: &'static str,
        /// The error of the kernel.
        source: std::io::Error,
    },
    /// The child was killed at the time limit.
    #[error("probe {name} did not end within {} ms", timeout.as_millis())]
    TimedOut {
        /// The name of the probe.
        name: &'static str,
        /// The time limit.
        timeout: Duration,
    },
    /// The child ended without a result.
    #[error("probe {name} ended with {status} and printed no result: {stderr}")]
    NoResult {
        /// The name of the probe.
        name: &'static str,
        /// The exit status of the child.
        status: ExitStatus,
        /// The end of the child's stderr.
        stderr: String,
    },
}

/// The hidden subcommand of this program that runs a probe.
pub const SUBCOMMAND: &str = "probe";

/// Returns the command line of probe `name` in this same program; arguments may follow.
#[must_use]
pub fn command(name: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args([SUBCOMMAND, name]);
    command
}

/// The code of a probe's child. It gets the name and the arguments, prints its result on stdout and returns its exit code.
pub type ProbeFn = fn(&str, &[OsString]) -> u8;

/// Prints a result as a child does, and returns the child's exit code.
///
/// `None` stands for an unknown name of a probe: nothing is printed, and the code is that of a wrong command line.
#[must_use]
pub fn print_result(result: Option<ProbeResult>) -> u8 {
    let Some(result) = result else {
        return exit::USAGE;
    };
    println!("{}", serde_json::to_string(&result).unwrap_or_default());
    0
}

/// A probe that can be run.
#[derive(Debug)]
pub struct Probe {
    /// The name on the hidden command line `supervisor probe NAME`.
    pub name: &'static str,
    /// The arguments of the child.
    pub arguments: Vec<OsString>,
    /// The code of a forked child; without it the child is always this program again.
    pub forked: Option<ProbeFn>,
    /// True if the child makes a user namespace, in which the parent maps the ids.
    pub mapped: bool,
    /// The child is killed after this time.
    pub timeout: Duration,
}

impl Probe {
    /// Runs the probe and returns its result.
    ///
    /// # Errors
    /// [`ProbeError`] if the probe proved nothing.
    pub fn run(&self) -> Result<ProbeResult, ProbeError> {
        self.run_as()
    }

    /// Runs a probe that prints a `T` as its last line of JSON.
    ///
    /// `T` must be able to hold a [`ProbeResult`] too, which is the result if the ids cannot be mapped.
    ///
    /// # Errors
    /// [`ProbeError`] if the child printed no such line.
    pub fn run_as<T: DeserializeOwned>(&self) -> Result<T, ProbeError> {
        self.run_while(&mut |_| true)
    }

    /// Runs a probe that takes long. `keep_on` gets the whole output so far every 100 ms and returns false to end the child.
    ///
    /// # Errors
    /// As [`run_as`](Self::run_as); [`ProbeError::TimedOut`] if `keep_on` returned false.
    pub fn run_while<T: DeserializeOwned>(
        &self,
        keep_on: &mut dyn FnMut(&str) -> bool,
    ) -> Result<T, ProbeError> {
        let name = self.name;
        let io = |source| ProbeError::Io { name, source };
        let mut child = self.start().map_err(io)?;
        let end = Instant::now() + self.timeout;
        let output = self.exchange(&mut child, end, keep_on);
        // The child does not outlive its probe, whatever it has printed.
        let _ = libc_ext::kill(child.pid.as_raw(), libc::SIGKILL);
        let mut stderr = String::new();
        // A grandchild may hold the pipe open: read what is there and wait no longer.
        let soon = Instant::now() + Duration::from_millis(10);
        let _ = read_until(&mut child.stderr, soon, &mut stderr);
        let status = libc_ext::wait(child.pid).map_err(|errno| io(errno.into()))?;
        let output = match output {
            Ok(output) => output,
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                let timeout = self.timeout;
                return Err(ProbeError::TimedOut { name, timeout });
            }
            Err(error) => return Err(io(error)),
        };
        let mut lines = output.lines().rev();
        let result = lines.find_map(|line| serde_json::from_str(line).ok());
        result.ok_or_else(|| ProbeError::NoResult {
            name,
            status: ExitStatus::from_raw(status),
            stderr: stderr.trim().to_owned(),
        })
    }

    fn start(&self) -> std::io::Result<Child> {
        if let Some(forked) = self.forked {
            match self.start_forked(forked) {
                Err(error) if error.kind() == ErrorKind::Unsupported => {}
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
            _ => Err(ErrorKind::BrokenPipe.into()),
        }
    }

    fn start_forked(&self, forked: ProbeFn) -> std::io::Result<Child> {
        let (child_stdin, stdin) = pipe2(OFlag::O_CLOEXEC)?;
        let (stdout, child_stdout) = pipe2(OFlag::O_CLOEXEC)?;
        let (stderr, child_stderr) = pipe2(OFlag::O_CLOEXEC)?;
        let stdio = [
            child_stdin.as_fd(),
            child_stdout.as_fd(),
            child_stderr.as_fd(),
        ];
        let pid = fork::fork_and_run(stdio, || forked(self.name, &self.arguments))?;
        Ok(Child {
            pid,
            stdin: Some(stdin.into()),
            stdout: stdout.into(),
            stderr: stderr.into(),
        })
    }

    /// Maps the child's ids once the child is ready, then reads all of its output.
    fn exchange(
        &self,
        child: &mut Child,
        end: Instant,
        keep_on: &mut dyn FnMut(&str) -> bool,
    ) -> std::io::Result<String> {
        let mut output = String::new();
        let stdin = child.stdin.take();
        if let (true, Some(stdin)) = (self.mapped, &stdin) {
            let handshake = Handshake::new(&child.stdout, stdin);
            let line = handshake.read_line(Some(end))?;
            if !handshake::is_ready(&line) {
                output = line;
                return read_until(&mut child.stdout, end, &mut output).map(|()| output);
            }
            if let Err(error) = idmap::write_maps(child.pid) {
                let refused = ProbeResult::refused(error.to_string(), Errno::EPERM);
                return Ok(serde_json::to_string(&refused)?);
            }
            handshake.send_go()?;
        }
        drop(stdin);
        while keep_on(&output) {
            let pause = (Instant::now() + KEEP_ON_INTERVAL).min(end);
            match read_until(&mut child.stdout, pause, &mut output) {
                Err(error) if error.kind() == ErrorKind::TimedOut && pause < end => {}
                read => return read.map(|()| output),
            }
        }
        Err(ErrorKind::TimedOut.into())
    }
}

/// A running child, and our ends of its pipes.
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
