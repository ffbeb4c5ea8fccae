//! Runs checks side by side, each in a child of its own with a time limit: what hangs is killed and said so.
//!
//! One thread and poll(2): this is PID 1's own process where `supervisor run` asks.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::unistd::{Pid, pipe2};

use super::check::{Check, Outcome, Status};
use super::checks::limits;
use super::scene::Scene;
use super::{child, clearing};
use crate::sys::ready::{self, Want};
use crate::sys::{fork, raw, trial};

/// More at once would only wait for each other.
const SIDE_BY_SIDE: usize = 8;

/// Where a check is.
enum State {
    Waiting,
    Running(Running),
    Done(Box<Outcome>),
}

/// A check's child.
struct Running {
    child: Pid,
    stdout: File,
    said: Vec<u8>,
    began: Instant,
}

/// Something else to wait for: the end was asked for when it is readable.
pub(super) type Interrupt<'a> = Option<&'a dyn AsFd>;

/// Runs `checks` in an order that respects what each needs; `None` where `interrupt` came first.
pub(super) fn examine(
    mut scene: Scene,
    checks: &[&'static Check],
    interrupt: Interrupt<'_>,
) -> Option<Vec<Outcome>> {
    let mut states: BTreeMap<&str, State> = BTreeMap::new();
    for check in checks {
        states.insert(check.id, State::Waiting);
    }
    let finished = loop {
        advance(&mut states, checks, &scene);
        if !states
            .values()
            .any(|state| matches!(state, State::Running(_)))
        {
            break true;
        }
        if wait(&mut states, checks, interrupt) {
            break false;
        }
        collect(&mut states, checks, &mut scene);
    };
    clear(&mut states, !finished);
    let mut outcome = |check: &&Check| match states.remove(check.id) {
        Some(State::Done(outcome)) => *outcome,
        _ => Outcome::skipped(check, "not reached"),
    };
    finished.then(|| checks.iter().map(&mut outcome).collect())
}

/// Starts or skips what can be decided now.
fn advance(states: &mut BTreeMap<&str, State>, checks: &[&'static Check], scene: &Scene) {
    for check in checks {
        if !matches!(states.get(check.id), Some(State::Waiting)) {
            continue;
        }
        let running = states
            .values()
            .filter(|state| matches!(state, State::Running(_)));
        let running = running.count();
        let free = running < SIDE_BY_SIDE;
        let next = if let Some(reason) = scene.excused(check.duty) {
            State::Done(Box::new(Outcome::skipped(check, reason)))
        } else {
            match blocker(states, check) {
                Blocker::Failed(id) => {
                    let reason = format!("needs {id}, which failed");
                    State::Done(Box::new(Outcome::skipped(check, reason)))
                }
                Blocker::Pending => continue,
                Blocker::None if !free => continue,
                Blocker::None => match spawn(check, scene) {
                    Ok(running) => State::Running(running),
                    // Too many at once for this container: later, when others are done.
                    Err(error) if running > 0 && is_full(&error) => continue,
                    Err(error) => {
                        State::Done(Box::new(limits::no_child(&error).outcome(check, scene)))
                    }
                },
            }
        };
        states.insert(check.id, next);
    }
}

/// What keeps a check from being run.
enum Blocker {
    None,
    Pending,
    /// The failed check at the root of it.
    Failed(String),
}

fn blocker(states: &BTreeMap<&str, State>, check: &Check) -> Blocker {
    let mut pending = false;
    let first = (check.id != limits::PROCESSES).then_some(&limits::PROCESSES);
    for id in first.into_iter().chain(check.after) {
        match states.get(id) {
            Some(State::Waiting | State::Running(_)) => pending = true,
            Some(State::Done(outcome)) => {
                if let Some(root) = root_of_failure(outcome) {
                    return Blocker::Failed(root);
                }
            }
            None => {}
        }
    }
    if pending {
        Blocker::Pending
    } else {
        Blocker::None
    }
}

/// The check that failed, for an outcome that failed or was skipped because another one did.
fn root_of_failure(outcome: &Outcome) -> Option<String> {
    match outcome.status {
        Status::Fail => Some(outcome.id.clone()),
        Status::Skipped => {
            let reason = outcome.reason.as_deref()?.strip_prefix("needs ")?;
            Some(reason.strip_suffix(", which failed")?.to_owned())
        }
        Status::Ok | Status::Warn => None,
    }
}

fn is_full(error: &std::io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EAGAIN | Errno::ENOMEM))
}

fn spawn(check: &'static Check, scene: &Scene) -> std::io::Result<Running> {
    let running = |child, stdout: OwnedFd| Running {
        child,
        stdout: stdout.into(),
        said: Vec::new(),
        began: Instant::now(),
    };
    let null = File::options().read(true).write(true).open("/dev/null")?;
    let (stdout, writer) = pipe2(OFlag::O_CLOEXEC)?;
    let stdio = [null.as_fd(), writer.as_fd(), null.as_fd()];
    match fork::child(stdio, || child::look(check, scene)) {
        Ok(child) => return Ok(running(child, stdout)),
        Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {}
        Err(error) => return Err(error),
    }
    let mut child = trial::again(child::NAME)
        .arg(check.id)
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

/// Waits until a child says something, a limit is over, or the end is asked for; true for the last.
fn wait(
    states: &mut BTreeMap<&str, State>,
    checks: &[&'static Check],
    interrupt: Interrupt<'_>,
) -> bool {
    let next_limit = checks
        .iter()
        .filter_map(|check| match states.get(check.id) {
            Some(State::Running(running)) => Some(left(check, running)),
            _ => None,
        });
    let end = Instant::now() + next_limit.min().unwrap_or_default();
    let running = states.values().filter_map(|state| match state {
        State::Running(running) => Some(running.stdout.as_fd()),
        _ => None,
    });
    let fds: Vec<BorrowedFd<'_>> = interrupt
        .map(AsFd::as_fd)
        .into_iter()
        .chain(running)
        .collect();
    let Ok(ready) = ready::wait_any(&fds, Want::Read, Some(end)) else {
        // Without poll(2) there is no waiting; the limits end it.
        std::thread::sleep(Duration::from_millis(1));
        return false;
    };
    interrupt.is_some() && ready.first() == Some(&true)
}

fn left(check: &Check, running: &Running) -> Duration {
    check.limit.saturating_sub(running.began.elapsed())
}

/// Takes in what children said, and ends those that are done or too slow.
fn collect(states: &mut BTreeMap<&str, State>, checks: &[&'static Check], scene: &mut Scene) {
    for check in checks {
        let Some(State::Running(running)) = states.get_mut(check.id) else {
            continue;
        };
        let over = left(check, running).is_zero();
        if !drain(running) && !over {
            continue;
        }
        let mut outcome = conclude(check, running, over);
        outcome.ms = (running.began.elapsed().as_secs_f64() * 1e4).round() / 10.0;
        if let Some(value) = &outcome.value {
            scene.values.insert(outcome.id.clone(), value.clone());
        }
        states.insert(check.id, State::Done(Box::new(outcome)));
    }
}

/// Reads what is there; true at the end of it.
fn drain(running: &mut Running) -> bool {
    let mut buffer = [0; 16 * 1024];
    loop {
        if ready::wait(&running.stdout, Want::Read, Some(Instant::now())) != Ok(true) {
            return false;
        }
        match running.stdout.read(&mut buffer) {
            Ok(0) | Err(_) => return true,
            Ok(count) => running.said.extend(&buffer[..count]),
        }
    }
}

fn conclude(check: &'static Check, running: &mut Running, over: bool) -> Outcome {
    if let Ok(outcome) = serde_json::from_slice(&running.said) {
        end(running.child);
        return outcome;
    }
    let status = end(running.child);
    if over {
        let limit = check.limit.as_millis();
        return timed_out(check, &format!("still not done after {limit} ms"));
    }
    let status = status.map_or("without a status".to_owned(), |status| {
        ExitStatus::from_raw(status).to_string()
    });
    broken(
        check,
        &format!("its child ended with {status} and said nothing"),
    )
}

/// Kills and reaps; a child in uninterruptible sleep is left to the kernel.
fn end(child: Pid) -> Option<i32> {
    let reaped = || raw::reap(child).ok().flatten();
    // One that has said all it had to say ends by itself, and its status is worth knowing.
    for pause in [0, 20, 50, 100, 200, 500, 1000, 2000, 5000] {
        std::thread::sleep(Duration::from_micros(pause));
        if let Some(status) = reaped() {
            return Some(status);
        }
    }
    let _ = raw::kill(child.as_raw(), libc::SIGKILL);
    for _ in 0..20 {
        if let Some(status) = reaped() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

fn timed_out(check: &Check, found: &str) -> Outcome {
    Outcome {
        status: worst(check),
        case: Some("timed-out".to_owned()),
        found: Some(found.to_owned()),
        means: Some("Something that this check touches does not answer: usually a network file system or a FUSE mount whose server is gone.".to_owned()),
        cure: Some("cat /proc/self/mountinfo    # look for nfs, cifs or fuse mounts, and take them out of the pod spec".to_owned()),
        ..Outcome::of(check)
    }
}

fn broken(check: &Check, found: &str) -> Outcome {
    Outcome {
        status: worst(check),
        case: Some("broken".to_owned()),
        found: Some(found.to_owned()),
        means: Some("The check itself did not work, so nothing is known. A filter that kills instead of refusing does this, or no memory or process slots are left.".to_owned()),
        cure: Some(format!("supervisor doctor --only {}    # once more; if it stays so, look at the container's pids and memory limits", check.id)),
        ..Outcome::of(check)
    }
}

/// What a check that proved nothing counts as.
fn worst(check: &Check) -> Status {
    let fatal = check.cases.iter().any(|case| case.status == Status::Fail);
    if fatal { Status::Fail } else { Status::Warn }
}

/// Ends what still runs, and waits for whoever clears up behind a killed check.
fn clear(states: &mut BTreeMap<&str, State>, asked: bool) {
    let mut killed = false;
    for state in states.values_mut() {
        killed |= match state {
            State::Running(running) => {
                let _ = raw::kill(running.child.as_raw(), libc::SIGKILL);
                true
            }
            State::Done(outcome) => outcome.case.as_deref() == Some("timed-out"),
            State::Waiting => false,
        };
    }
    if killed {
        clearing::wait(asked);
    }
}
