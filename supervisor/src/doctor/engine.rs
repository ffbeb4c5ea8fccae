//! Runs checks side by side in child processes. Each check has a timeout: a check that hangs is killed and reported.
//!
//! It uses one thread and poll(2), because under `supervisor run` this process is PID 1.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;

use super::batch::Batch;
use super::check::{Check, CheckResult, Status};
use super::checks::limits;
use super::cleanup;
use super::context::Context;
use linux::errno::to_nix;
use linux::libc_ext;
use linux::poll::{self, Interest};

/// The number of children at once. More would only wait for each other.
const PARALLEL: usize = 8;
/// The number of children before a job. There, starting a child takes longer than most checks.
const PARALLEL_BEFORE_JOB: usize = 2;

/// The state of one check.
enum State {
    /// Not started.
    Pending,
    /// Behind another check in the same child.
    Queued,
    Running(Batch),
    Done(Box<CheckResult>),
}

type States = BTreeMap<&'static str, State>;

/// A descriptor that becomes readable when a signal requests our end.
pub(super) type Interrupt<'a> = Option<&'a dyn AsFd>;

/// Runs `checks`, each after the checks that it needs. Returns `None` if `interrupt` became readable first.
pub(super) fn examine(
    mut context: Context,
    checks: &[&'static Check],
    interrupt: Interrupt<'_>,
) -> Option<Vec<CheckResult>> {
    let mut states = States::new();
    for check in checks {
        states.insert(check.id, State::Pending);
    }
    let finished = loop {
        start_ready(&mut states, checks, &context);
        if running(&states).next().is_none() {
            break true;
        }
        if wait(&states, checks, interrupt) {
            break false;
        }
        read_children(&mut states, checks, &mut context);
    };
    stop(&mut states, !finished);
    let mut result = |check: &&'static Check| match states.remove(check.id) {
        Some(State::Done(result)) => *result,
        _ => CheckResult::skipped(check, "not reached"),
    };
    finished.then(|| checks.iter().map(&mut result).collect())
}

fn running(states: &States) -> impl Iterator<Item = &Batch> {
    states.values().filter_map(|state| match state {
        State::Running(batch) => Some(batch),
        _ => None,
    })
}

/// Starts children for all checks that can run now.
fn start_ready(states: &mut States, checks: &[&'static Check], context: &Context) {
    let ready = skip_or_select(states, checks, context);
    let share = if context.watchdogs {
        1
    } else {
        ready.len().div_ceil(PARALLEL_BEFORE_JOB).max(1)
    };
    for batch in ready.chunks(share) {
        let running = running(states).count();
        if running >= PARALLEL {
            return;
        }
        match Batch::spawn(batch, context) {
            Ok(running) => {
                states.extend(batch.iter().map(|check| (check.id, State::Queued)));
                states.insert(batch[0].id, State::Running(running));
            }
            // The container has no room for another process now. Try again when a child has ended.
            Err(error) if running > 0 && is_full(&error) => return,
            Err(error) => states.extend(batch.iter().map(|check| {
                let result = limits::no_child(&error).into_result(check, context);
                (check.id, State::Done(Box::new(result)))
            })),
        }
    }
}

/// Skips the checks that do not apply or cannot run. Returns the checks that can run now.
fn skip_or_select(
    states: &mut States,
    checks: &[&'static Check],
    context: &Context,
) -> Vec<&'static Check> {
    let mut ready = Vec::new();
    for check in checks {
        if !matches!(states.get(check.id), Some(State::Pending)) {
            continue;
        }
        let skipped = match (context.excused(check.duty), blocker(states, check)) {
            (Some(reason), _) => CheckResult::skipped(check, reason),
            (None, Blocker::Failed(id)) => CheckResult::blocked(check, &id),
            (None, Blocker::Pending) => continue,
            (None, Blocker::None) => {
                ready.push(*check);
                continue;
            }
        };
        states.insert(check.id, State::Done(Box::new(skipped)));
    }
    ready
}

/// What keeps a check from running.
enum Blocker {
    None,
    /// A check that it needs has no result yet.
    Pending,
    /// The id of the check that failed first.
    Failed(String),
}

fn blocker(states: &States, check: &Check) -> Blocker {
    let mut pending = false;
    let first = (check.id != limits::PROCESSES).then_some(&limits::PROCESSES);
    for id in first.into_iter().chain(check.needs) {
        match states.get(id) {
            Some(State::Pending | State::Queued | State::Running(_)) => pending = true,
            Some(State::Done(result)) => {
                if let Some(id) = failed_check(result) {
                    return Blocker::Failed(id.to_owned());
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

/// Returns the id of the check that failed: this one, or the one that blocked it.
fn failed_check(result: &CheckResult) -> Option<&str> {
    match result.status {
        Status::Fail => Some(&result.id),
        Status::Skipped => result.blocked_by.as_deref(),
        Status::Ok | Status::Warn => None,
    }
}

fn is_full(error: &std::io::Error) -> bool {
    matches!(to_nix(error), Errno::EAGAIN | Errno::ENOMEM)
}

/// Waits until a child writes or ends, a timeout is over, or `interrupt` is readable; true for the last.
fn wait(states: &States, checks: &[&'static Check], interrupt: Interrupt<'_>) -> bool {
    let remaining = checks
        .iter()
        .filter_map(|check| match states.get(check.id) {
            Some(State::Running(batch)) => Some(batch.remaining(check)),
            _ => None,
        });
    let end = Instant::now() + remaining.min().unwrap_or_default();
    let children = running(states).map(|batch| batch.stdout.as_fd());
    let fds: Vec<BorrowedFd<'_>> = interrupt
        .map(AsFd::as_fd)
        .into_iter()
        .chain(children)
        .collect();
    let Ok(ready) = poll::wait_any(&fds, Interest::Read, Some(end)) else {
        // poll(2) failed. The timeouts still end the loop.
        std::thread::sleep(Duration::from_millis(1));
        return false;
    };
    interrupt.is_some() && ready.first() == Some(&true)
}

/// Reads the children's results, and ends the children that are done or too slow.
fn read_children(states: &mut States, checks: &[&'static Check], context: &mut Context) {
    for check in checks {
        let Some(state @ State::Running(_)) = states.get_mut(check.id) else {
            continue;
        };
        if let State::Running(mut batch) = std::mem::replace(state, State::Queued) {
            let ended = batch.read_available();
            record_results(states, check, batch, ended, context);
        }
    }
}

/// Records the results that a child has written. Puts the rest of its checks back if it has ended early.
fn record_results(
    states: &mut States,
    mut check: &'static Check,
    mut batch: Batch,
    ended: bool,
    context: &mut Context,
) {
    loop {
        let written = batch
            .take_line()
            .and_then(|line| serde_json::from_slice(&line).ok());
        let timed_out = batch.remaining(check).is_zero();
        if written.is_none() && !ended && !timed_out {
            states.insert(check.id, State::Running(batch));
            return;
        }
        let goes_on = written.is_some();
        let mut result: CheckResult =
            written.unwrap_or_else(|| without_result(check, &batch, timed_out));
        result.ms = (batch.started.elapsed().as_secs_f64() * 1e4).round() / 10.0;
        if let Some(value) = &result.value {
            context.values.insert(result.id.clone(), value.clone());
        }
        states.insert(check.id, State::Done(Box::new(result)));
        if !goes_on {
            // Another child runs the checks that this one did not reach.
            let rest = batch.rest.into_iter();
            states.extend(rest.map(|check| (check.id, State::Pending)));
            return;
        }
        let Some(next) = batch.rest.pop_front() else {
            batch.end();
            return;
        };
        batch.started = Instant::now();
        check = next;
    }
}

/// Ends a child that wrote no result, and returns the result of the check that it was running.
fn without_result(check: &Check, batch: &Batch, timed_out: bool) -> CheckResult {
    let status = batch.end();
    if timed_out {
        let found = format!("not done after {} ms", check.timeout.as_millis());
        return unproven(
            check,
            "timed-out",
            found,
            TIMED_OUT,
            REMOVE_MOUNTS.to_owned(),
        );
    }
    let status = status.map_or("no status".to_owned(), |status| {
        ExitStatus::from_raw(status).to_string()
    });
    let found = format!("its child process ended without a result: {status}");
    let remedy = format!(
        "supervisor doctor --only {}    # once more; if the result is the same, check the container's limits of pids and memory",
        check.id
    );
    unproven(check, "broken", found, BROKEN, remedy)
}

const TIMED_OUT: &str = "Something that this check touches does not respond: usually a network file system, or a FUSE mount whose server has ended.";
const REMOVE_MOUNTS: &str = "cat /proc/self/mountinfo    # find nfs, cifs or fuse mounts, and take them out of the pod spec";
const BROKEN: &str = "The check itself did not work, so its result is unknown. One cause is a seccomp filter that kills instead of refusing. Another is a lack of memory or process slots.";

/// The result of a check that proved nothing. It counts as the worst of its findings.
fn unproven(
    check: &Check,
    finding: &str,
    found: String,
    means: &str,
    remedy: String,
) -> CheckResult {
    let findings = check.findings.iter();
    let fatal = findings
        .map(|finding| finding.status)
        .any(|status| status == Status::Fail);
    CheckResult {
        status: if fatal { Status::Fail } else { Status::Warn },
        finding: Some(finding.to_owned()),
        found: Some(found),
        means: Some(means.to_owned()),
        remedy: Some(remedy),
        ..CheckResult::of(check)
    }
}

/// Kills the children that still run, and waits for the cleanup after every killed check.
fn stop(states: &mut States, ending: bool) {
    let mut killed = false;
    for state in states.values_mut() {
        killed |= match state {
            State::Running(batch) => {
                let _ = libc_ext::kill(batch.child.as_raw(), libc::SIGKILL);
                true
            }
            State::Done(result) => result.finding.as_deref() == Some("timed-out"),
            State::Pending | State::Queued => false,
        };
    }
    if killed {
        cleanup::wait(ending);
    }
}
