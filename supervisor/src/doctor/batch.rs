//! A child process that runs checks one after the other and writes each result as a line of JSON.
//!
//! The child is a copy of this process. If fork(2) is not possible, it is this program again, with the context on stdin.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::libc;
use nix::unistd::{Pid, pipe2};

use super::check::Check;
use super::checks;
use super::context::Context;
use linux::handshake::die_with_parent;
use linux::poll::{self, Interest};
use linux::{fork, libc_ext, probe};
use report::exit;

/// The name of the probe that runs checks.
pub const NAME: &str = "check";

/// The child's side: runs the checks `ids` with the context from stdin. Returns the exit code.
#[must_use]
pub fn main(ids: &[OsString]) -> u8 {
    let mut text = String::new();
    let read = std::io::stdin().read_to_string(&mut text);
    let context: Option<Context> = read.ok().and_then(|_| serde_json::from_str(&text).ok());
    let checks: Option<Vec<_>> = ids.iter().map(|id| checks::find(id.to_str()?)).collect();
    let (Some(context), Some(checks)) = (context, checks) else {
        return exit::USAGE;
    };
    if die_with_parent().is_err() {
        return exit::INTERNAL;
    }
    run(&checks, &context)
}

/// Runs the checks and prints the result of each as one line of JSON.
fn run(checks: &[&'static Check], context: &Context) -> u8 {
    for check in checks {
        let result = (check.run)(context).into_result(check, context);
        println!("{}", serde_json::to_string(&result).unwrap_or_default());
    }
    0
}

/// The parent's side of a running child.
pub(super) struct Batch {
    pub(super) child: Pid,
    pub(super) stdout: File,
    /// Bytes from stdout that are no whole line yet.
    pub(super) received: Vec<u8>,
    /// When the current check started.
    pub(super) started: Instant,
    /// The checks after the current one.
    pub(super) rest: VecDeque<&'static Check>,
}

impl Batch {
    /// Starts a child for these checks.
    pub(super) fn spawn(checks: &[&'static Check], context: &Context) -> std::io::Result<Self> {
        let batch = |child, stdout: OwnedFd| Self {
            child,
            stdout: stdout.into(),
            received: Vec::new(),
            started: Instant::now(),
            rest: checks.iter().skip(1).copied().collect(),
        };
        let null = File::options().read(true).write(true).open("/dev/null")?;
        let (stdout, writer) = pipe2(OFlag::O_CLOEXEC)?;
        let stdio = [null.as_fd(), writer.as_fd(), null.as_fd()];
        match fork::fork_and_run(stdio, || run(checks, context)) {
            Ok(child) => return Ok(batch(child, stdout)),
            Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {}
            Err(error) => return Err(error),
        }
        let (child, stdout) = spawn_program(checks, context)?;
        Ok(batch(child, stdout))
    }

    /// The time that the current `check` has left.
    pub(super) fn remaining(&self, check: &Check) -> Duration {
        check.timeout.saturating_sub(self.started.elapsed())
    }

    /// Takes the first whole line of what was received.
    pub(super) fn take_line(&mut self) -> Option<Vec<u8>> {
        let end = self.received.iter().position(|&byte| byte == b'\n')?;
        let rest = self.received.split_off(end + 1);
        Some(std::mem::replace(&mut self.received, rest))
    }

    /// Reads what is available without blocking; true at the end of the stream.
    pub(super) fn read_available(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        loop {
            if poll::wait(&self.stdout, Interest::Read, Some(Instant::now())) != Ok(true) {
                return false;
            }
            match self.stdout.read(&mut buffer) {
                Ok(0) | Err(_) => return true,
                Ok(count) => self.received.extend(&buffer[..count]),
            }
        }
    }

    /// Kills and reaps the child, and returns its wait status. The kernel keeps a child in uninterruptible sleep.
    pub(super) fn end(&self) -> Option<i32> {
        let reaped = || libc_ext::reap(self.child).ok().flatten();
        // A child that has written its last result ends by itself, and its status is worth knowing.
        for pause in [0, 20, 50, 100, 200, 500, 1000, 2000, 5000] {
            std::thread::sleep(Duration::from_micros(pause));
            if let Some(status) = reaped() {
                return Some(status);
            }
        }
        let _ = libc_ext::kill(self.child.as_raw(), libc::SIGKILL);
        for _ in 0..20 {
            if let Some(status) = reaped() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }
}

/// Starts this program again to run the checks.
fn spawn_program(checks: &[&'static Check], context: &Context) -> std::io::Result<(Pid, OwnedFd)> {
    let mut child = probe::command(NAME)
        .args(checks.iter().map(|check| check.id))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(std::io::ErrorKind::BrokenPipe.into());
    };
    // If the child has ended already, its missing results show it.
    let _ = stdin.write_all(serde_json::to_string(context)?.as_bytes());
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
    Ok((pid, stdout.into()))
}
