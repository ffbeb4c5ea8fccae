//! Runs checks side by side in children, each with a time limit: what hangs is killed and said so.
//!
//! One thread and poll(2): this is PID 1's own process where `supervisor run` asks.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;

use super::batch::{Running, drain, end, left, line, spawn};
use super::check::{Check, Outcome, Status};
use super::checks::limits;
use super::clearing;
use super::scene::Scene;
use linux::libc_ext;
use linux::poll::{self, Interest};

/// More at once would only wait for each other.
const SIDE_BY_SIDE: usize = 8;
/// Before a job, starting a child takes longer than most checks: all that can be looked at shares so many.
const SHARED: usize = 2;

/// Where a check is.
enum State {
    Waiting,
    /// Behind another one in the same child.
    Next,
    Running(Running),
    Done(Box<Outcome>),
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
    let startable = skip_or_name(states, checks, scene);
    let share = if scene.guarded {
        1
    } else {
        startable.len().div_ceil(SHARED).max(1)
    };
    for batch in startable.chunks(share) {
        let running = states
            .values()
            .filter(|state| matches!(state, State::Running(_)));
        let running = running.count();
        if running >= SIDE_BY_SIDE {
            return;
        }
        match spawn(batch, scene) {
            Ok(running) => {
                states.extend(batch.iter().map(|check| (check.id, State::Next)));
                states.insert(batch[0].id, State::Running(running));
            }
            // Too many at once for this container: later, when others are done.
            Err(error) if running > 0 && is_full(&error) => return,
            Err(error) => states.extend(batch.iter().map(|check| {
                let outcome = limits::no_child(&error).outcome(check, scene);
                (check.id, State::Done(Box::new(outcome)))
            })),
        }
    }
}

/// Skips what need not or cannot be looked at; gives what can be now.
fn skip_or_name(
    states: &mut BTreeMap<&str, State>,
    checks: &[&'static Check],
    scene: &Scene,
) -> Vec<&'static Check> {
    let mut startable = Vec::new();
    for check in checks {
        if !matches!(states.get(check.id), Some(State::Waiting)) {
            continue;
        }
        let reason = match (scene.excused(check.duty), blocker(states, check)) {
            (Some(reason), _) => reason.to_string(),
            (None, Blocker::Failed(id)) => format!("needs {id}, which failed"),
            (None, Blocker::Pending) => continue,
            (None, Blocker::None) => {
                startable.push(*check);
                continue;
            }
        };
        let skipped = Outcome::skipped(check, reason);
        states.insert(check.id, State::Done(Box::new(skipped)));
    }
    startable
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
            Some(State::Waiting | State::Next | State::Running(_)) => pending = true,
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
    let Ok(ready) = poll::wait_any(&fds, Interest::Read, Some(end)) else {
        // Without poll(2) there is no waiting; the limits end it.
        std::thread::sleep(Duration::from_millis(1));
        return false;
    };
    interrupt.is_some() && ready.first() == Some(&true)
}

/// Takes in what children said, and ends those that are done or too slow.
fn collect(states: &mut BTreeMap<&str, State>, checks: &[&'static Check], scene: &mut Scene) {
    for check in checks {
        let Some(state @ State::Running(_)) = states.get_mut(check.id) else {
            continue;
        };
        if let State::Running(mut running) = std::mem::replace(state, State::Next) {
            let ended = drain(&mut running);
            follow(states, check, running, ended, scene);
        }
    }
}

/// Follows a child from check to check, as far as it came.
fn follow(
    states: &mut BTreeMap<&str, State>,
    mut check: &'static Check,
    mut running: Running,
    ended: bool,
    scene: &mut Scene,
) {
    loop {
        let said = line(&mut running.said).and_then(|line| serde_json::from_slice(&line).ok());
        let over = left(check, &running).is_zero();
        if said.is_none() && !ended && !over {
            states.insert(check.id, State::Running(running));
            return;
        }
        let goes_on = said.is_some();
        let mut outcome: Outcome = said.unwrap_or_else(|| conclude(check, &running, over));
        outcome.ms = (running.began.elapsed().as_secs_f64() * 1e4).round() / 10.0;
        if let Some(value) = &outcome.value {
            scene.values.insert(outcome.id.clone(), value.clone());
        }
        states.insert(check.id, State::Done(Box::new(outcome)));
        if !goes_on {
            // What it did not come to is looked at by another.
            let rest = running.next.into_iter();
            states.extend(rest.map(|check| (check.id, State::Waiting)));
            return;
        }
        let Some(next) = running.next.pop_front() else {
            end(running.child);
            return;
        };
        running.began = Instant::now();
        check = next;
    }
}

/// The outcome of a check that said none.
fn conclude(check: &'static Check, running: &Running, over: bool) -> Outcome {
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
                let _ = libc_ext::kill(running.child.as_raw(), libc::SIGKILL);
                true
            }
            State::Done(outcome) => outcome.case.as_deref() == Some("timed-out"),
            State::Waiting | State::Next => false,
        };
    }
    if killed {
        clearing::wait(asked);
    }
}
