//! A child that looks at checks one after the other, and says the outcome of each as a line of JSON.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::libc;
use nix::unistd::{Pid, pipe2};

use super::check::Check;
use super::child;
use super::scene::Scene;
use linux::poll::{self, Interest};
use linux::{fork, libc_ext, probe};

/// A child, and where it is with its checks.
pub(super) struct Running {
    pub(super) child: Pid,
    pub(super) stdout: File,
    pub(super) said: Vec<u8>,
    /// When it came to the check it is at.
    pub(super) began: Instant,
    pub(super) next: VecDeque<&'static Check>,
}

/// A child for these checks, one after the other.
pub(super) fn spawn(batch: &[&'static Check], scene: &Scene) -> std::io::Result<Running> {
    let running = |child, stdout: OwnedFd| Running {
        child,
        stdout: stdout.into(),
        said: Vec::new(),
        began: Instant::now(),
        next: batch.iter().skip(1).copied().collect(),
    };
    let null = File::options().read(true).write(true).open("/dev/null")?;
    let (stdout, writer) = pipe2(OFlag::O_CLOEXEC)?;
    let stdio = [null.as_fd(), writer.as_fd(), null.as_fd()];
    match fork::fork_and_run(stdio, || child::look(batch, scene)) {
        Ok(child) => return Ok(running(child, stdout)),
        Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {}
        Err(error) => return Err(error),
    }
    let mut child = probe::command(child::NAME)
        .args(batch.iter().map(|check| check.id))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(std::io::ErrorKind::BrokenPipe.into());
    };
    // A child that ended already is noticed by what it did not say.
    let _ = stdin.write_all(serde_json::to_string(scene)?.as_bytes());
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
    Ok(running(pid, stdout.into()))
}

pub(super) fn left(check: &Check, running: &Running) -> Duration {
    check.limit.saturating_sub(running.began.elapsed())
}

/// Takes the first line off.
pub(super) fn line(said: &mut Vec<u8>) -> Option<Vec<u8>> {
    let end = said.iter().position(|&byte| byte == b'\n')?;
    let rest = said.split_off(end + 1);
    Some(std::mem::replace(said, rest))
}

/// Reads what is there; true at the end of it.
pub(super) fn drain(running: &mut Running) -> bool {
    let mut buffer = [0; 16 * 1024];
    loop {
        if poll::wait(&running.stdout, Interest::Read, Some(Instant::now())) != Ok(true) {
            return false;
        }
        match running.stdout.read(&mut buffer) {
            Ok(0) | Err(_) => return true,
            Ok(count) => running.said.extend(&buffer[..count]),
        }
    }
}

/// Kills and reaps; a child in uninterruptible sleep is left to the kernel.
pub(super) fn end(child: Pid) -> Option<i32> {
    let reaped = || libc_ext::reap(child).ok().flatten();
    // One that has said all it had to say ends by itself, and its status is worth knowing.
    for pause in [0, 20, 50, 100, 200, 500, 1000, 2000, 5000] {
        std::thread::sleep(Duration::from_micros(pause));
        if let Some(status) = reaped() {
            return Some(status);
        }
    }
    let _ = libc_ext::kill(child.as_raw(), libc::SIGKILL);
    for _ in 0..20 {
        if let Some(status) = reaped() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}
