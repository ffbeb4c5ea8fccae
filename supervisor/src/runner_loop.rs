//! Starts and watches the runner's processes, one after the other, until the flavor says that the runner is over.

use std::time::{Duration, Instant};

use nix::errno::Errno;
use tracing::{info, warn};

use crate::flavor::{Next, Runner, Verdict};
use crate::outcome::Failure;
use init::reap::{self, Ended};
use init::signals::{SignalAction, Signals};
use init::spawn::{Start, spawn};
use init::supervise::{Watch, Watched};
use init::survivors;
use init::terminal::Terminal;
use init::terminate::{Cause, Phase, Times};
use linux::memory_trim;
use linux::poll::{self, Interest};
use linux::termination_request::TerminationRequest;
use report::Reason;

/// So much more readily than PID 1 the kernel takes a process of the job, if it takes one process: as if it had a fiftieth of the
/// memory more. A small step leaves the pod its place among the others of the node.
const OOM_SCORE_STEP: i32 = 20;

/// The rules for all processes of a runner.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// The flavor's name, for the log.
    pub flavor: &'static str,
    /// The time between the graceful signal and SIGTERM.
    pub grace: Duration,
    /// The time between the request to end and SIGKILL.
    pub kill_after: Duration,
    /// The longest time that the job may take.
    pub deadline: Option<Duration>,
}

/// The end of the runner: of its last process, and of all processes together.
#[derive(Debug)]
pub(crate) struct RunnerEnd {
    /// How the last process that mattered ended.
    pub ended: Ended,
    /// Why we ended it, if we did.
    pub cause: Option<Cause>,
    /// Orphans reaped meanwhile.
    pub orphans: u64,
    /// Processes started.
    pub starts: u32,
    /// The flavor's verdict.
    pub verdict: Verdict,
    /// The terminal that the runner had. Its state is restored once more after the survivors have ended.
    pub terminal: Option<Terminal>,
}

/// Starts and watches the runner's processes until its flavor reports the end. Records the arrival of a request to end.
///
/// # Errors
/// [`Failure`] if a process cannot be started or watched.
pub(crate) fn run(
    settings: Settings,
    runner: &mut dyn Runner,
    signals: &Signals,
    termination: &TerminationRequest,
) -> Result<RunnerEnd, Failure> {
    let began = Instant::now();
    let mut end = RunnerEnd {
        ended: Ended::Exited(0),
        cause: None,
        orphans: 0,
        starts: 0,
        verdict: Verdict::of_code(0),
        terminal: None,
    };
    loop {
        let start = runner.start()?;
        let limits = limits(settings, runner, began, termination.elapsed());
        let (watched, terminal) = run_process(settings.flavor, start, limits, runner, signals)?;
        end.terminal = terminal;
        if let Some(at) = watched.requested_at {
            termination.record(at);
        }
        end.note(&watched, runner.tidies());
        let mut next = runner.ended(&watched);
        if let Next::Again(pause) = next {
            // Processes that this one left must not run beside the next one.
            end.orphans += survivors::end_all(None).orphans;
            if sleep(pause, signals)? {
                termination.record(Instant::now());
                end.cause = end.cause.or(Some(Cause::Requested));
                next = runner.interrupted();
            }
        }
        if let Next::Over(verdict) = next {
            // The job was allowed to go on after the request, so it ended by itself.
            if verdict.reason == Some(Reason::Completed) {
                end.cause = None;
            }
            end.verdict = verdict;
            return Ok(end);
        }
    }
}

impl RunnerEnd {
    fn note(&mut self, watched: &Watched, tidies: bool) {
        self.starts += 1;
        self.orphans += watched.orphans;
        if self.cause.is_none() && !tidies {
            self.ended = watched.ended;
            // A job that was allowed to go on ended by itself.
            self.cause = watched.cause.filter(|_| watched.phase != Some(Phase::Wait));
        }
    }
}

/// Returns the limits of the next process, within those of the whole run. `requested` is the time since the request to end.
fn limits(settings: Settings, runner: &dyn Runner, began: Instant, requested: Duration) -> Limits {
    let left = settings
        .deadline
        .map(|deadline| deadline.saturating_sub(began.elapsed()));
    Limits {
        times: Times {
            grace: settings.grace.saturating_sub(requested),
            step_grace: runner
                .worker()
                .map_or(Duration::ZERO, |worker| worker.step_grace),
            kill_after: settings.kill_after.saturating_sub(requested),
        },
        deadline: [left, runner.limit()].into_iter().flatten().min(),
        idle_timeout: runner.idle_timeout(),
    }
}

#[derive(Clone, Copy)]
struct Limits {
    times: Times,
    deadline: Option<Duration>,
    idle_timeout: Option<Duration>,
}

fn run_process(
    flavor: &'static str,
    start: Start,
    limits: Limits,
    runner_state: &mut dyn Runner,
    signals: &Signals,
) -> Result<(Watched, Option<Terminal>), Failure> {
    let escalation = start.escalation;
    let program = start.program.clone();
    let terminal = Terminal::find();
    let runner = match runner_state.oom_score() {
        Some(score) => score.raised(OOM_SCORE_STEP, || spawn(start, terminal.as_ref())),
        None => spawn(start, terminal.as_ref()),
    }?;
    info!(
        flavor,
        pid = runner.as_raw(),
        program = %program.to_string_lossy(),
        "the runner started"
    );
    // Before the trim, because it uses code that is not needed again.
    runner_state.begun(runner);
    let watch = Watch {
        runner,
        escalation,
        times: limits.times,
        deadline: limits.deadline,
        idle_timeout: limits.idle_timeout,
    };
    memory_trim::trim();
    let watched = watch.until_end(signals, runner_state, terminal.as_ref());
    if let Some(terminal) = &terminal {
        terminal.take_back();
    }
    let watched = watched.map_err(watching)?;
    Ok((watched, terminal))
}

fn watching(errno: Errno) -> Failure {
    Failure::kernel("the runner cannot be watched")(errno)
}

/// Sleeps, and returns true as soon as a request to end arrives.
fn sleep(pause: Duration, signals: &Signals) -> Result<bool, Failure> {
    let end = Instant::now() + pause;
    loop {
        while let Some(received) = signals.next().map_err(watching)? {
            if received.action() == SignalAction::Terminate {
                warn!("asked to end while no runner was running");
                return Ok(true);
            }
        }
        let _ = reap::all(None, None);
        if Instant::now() >= end {
            return Ok(false);
        }
        poll::wait(signals, Interest::Read, Some(end)).map_err(watching)?;
    }
}
