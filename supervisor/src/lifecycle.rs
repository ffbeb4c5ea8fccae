//! The story of one run, start to end:
//! config → preflight → storage → secrets → runner → wipe → report.

#[cfg(debug_assertions)]
mod fault_injection;
mod wiping;

use std::any::Any;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::resource::{UsageWho, getrusage};
use tracing::{error, info, warn};

use crate::config::{Config, ConfigError};
use crate::flavor::Runner;
use crate::memory::GuardedRunner;
use crate::outcome::{Conclusion, Failure, Job, conclude};
use crate::runner_loop::{self, RunnerEnd};
use crate::workspace::RuntimeDir;
use crate::{doctor, flavor, memory, publish, secrets, storage, workspace};
use builder::WorkspaceLock;
use init::is_pid_1;
use init::reap::Ended;
use init::signals::Signals;
use init::survivors::{self, Survivors};
use init::terminal::Terminal;
use linux::container_usage::ContainerUsage;
use linux::oom_score::OomScore;
use linux::termination_request::TerminationRequest;
use linux::{emergency_alloc, proc_scrub, process};
use report::exit;
use report::{Reason, Report, RunnerReport, Step, WipeReport};
use wipe::{WipeOutcome, WipePlan};

/// Runs one job and returns the exit code of this process.
///
/// `signals` were blocked before anything else was done, so no signal that arrived since is lost.
#[must_use]
pub fn run(config: &Config, signals: Result<Signals, Errno>) -> u8 {
    let termination = wiping::termination_request(config.termination_grace_period);
    let plan = wiping::plan(config, &termination);
    let mut run = JobRun::new(config, &termination, &plan);
    let outcome =
        guarded(|| run.job(signals)).unwrap_or_else(|panic| Err(Failure::Panicked(panic)));
    run.end_survivors();
    run.note_job();
    run.wipe();
    run.conclude(&outcome)
}

/// Keeps a builder from wiping the workspace under the job. A missing workspace is the preflight's to report.
fn lock_workspace(path: &Path) -> Option<WorkspaceLock> {
    let lock = WorkspaceLock::hold(path);
    if let Err(error) = &lock
        && error.kind() != ErrorKind::NotFound
    {
        warn!(%error, "the workspace cannot be locked: a builder that gets SIGTERM may wipe it under the job");
    }
    lock.ok()
}

/// Publishes the report of a configuration that cannot be used, and returns its exit code.
#[must_use]
pub fn refuse(error: &ConfigError, report_file: &Path) -> u8 {
    error!("{error}");
    let mut report = Report::new(None);
    report.reason = Reason::Config;
    report.exit_code = exit::CONFIG;
    report.failed_step = Some(Step::Config);
    report.message = Some(error.to_string());
    publish::publish(&report, report_file);
    exit::CONFIG
}

/// The state of one run.
struct JobRun<'a> {
    config: &'a Config,
    report: Report,
    step: Step,
    termination: &'a TerminationRequest,
    wipe_plan: &'a WipePlan<'a>,
    terminal: Option<Terminal>,
    /// Keeps the builder from wiping the workspace under the job.
    workspace_lock: Option<WorkspaceLock>,
    /// What was killed because memory ran out.
    memory_sentence: Option<String>,
    /// The runner after its end, until the report has what is known of its job.
    runner: Option<GuardedRunner>,
    #[cfg(debug_assertions)]
    faults: fault_injection::FaultInjection,
}

impl<'a> JobRun<'a> {
    fn new(
        config: &'a Config,
        termination: &'a TerminationRequest,
        wipe_plan: &'a WipePlan<'a>,
    ) -> Self {
        Self {
            config,
            termination,
            wipe_plan,
            report: Report::new(Some(config.flavor.name())),
            step: Step::Config,
            terminal: None,
            workspace_lock: None,
            memory_sentence: None,
            runner: None,
            #[cfg(debug_assertions)]
            faults: fault_injection::FaultInjection::from_environment(),
        }
    }

    /// The steps up to the runner's end.
    fn job(&mut self, signals: Result<Signals, Errno>) -> Result<Job, Failure> {
        let config = self.config;
        self.step = Step::Preflight;
        let signals = signals.map_err(Failure::kernel("signals cannot be read"))?;
        let oom_score = become_init(config)?;
        self.workspace_lock = lock_workspace(&config.workspace.path);
        // The mounts of a fresh container belong to its pod. If we are not PID 1, an earlier run may have left some.
        if is_pid_1() {
            self.wipe_plan.pin_roots();
        }
        self.wipe_found()?;
        self.wipe_plan.pin_roots();
        let found = self.step(Step::Preflight, || Ok(doctor::preflight(config)?))?;
        let storage = self.step(Step::Storage, || {
            workspace::prepare(&config.workspace).map_err(storage::StorageError::from)?;
            Ok(storage::prepare(&storage::Settings::of_job(config), found)?)
        })?;
        self.report.storage_driver = Some(storage.driver.name().to_owned());
        let (environment, secrets) = self.step(Step::Secrets, || {
            let mut environment = storage.environment;
            let secrets = secrets::read(&config.secrets)?;
            let runtime = RuntimeDir::new(&config.runtime_directory);
            if let Some(path) = secrets::write_authfile(&secrets, &runtime)? {
                environment.push(("REGISTRY_AUTH_FILE".into(), path.into()));
            }
            secrets::mark_taken(&runtime);
            Ok((environment, secrets))
        })?;
        let mut runner = None;
        let termination = self.termination;
        let of_loop = runner_loop::Settings {
            flavor: config.flavor.name(),
            grace: config.grace,
            kill_after: config.kill_after(),
            deadline: config.deadline,
        };
        let end = self.step(Step::Runner, || {
            let prepared = flavor::prepare(config, &environment, secrets)?;
            let prepared = runner.insert(GuardedRunner::new(config, prepared, oom_score));
            // The runner has its own copy. Overwrite ours, which the job could read in /proc.
            proc_scrub::overwrite_environment_and_command();
            runner_loop::run(of_loop, prepared, &signals, termination)
        });
        self.runner = runner;
        Ok(self.note_end(end?))
    }

    /// Adds to the report what is known of the job. The guard watches until then, while the job's last processes are ended.
    fn note_job(&mut self) {
        let Some(mut runner) = self.runner.take() else {
            return;
        };
        let report = &mut self.report;
        report.job = runner.job();
        report.registration = runner.registration();
        let sentence = guarded(|| runner.finish(report));
        self.memory_sentence = sentence.unwrap_or_else(|panic| {
            error!("a defect of the supervisor: {panic}");
            None
        });
    }

    /// Runs one step and records its duration.
    ///
    /// Returns [`Failure::Terminated`] if the end was already requested, and [`Failure::Panicked`] if the step panics.
    fn step<T>(
        &mut self,
        step: Step,
        work: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.step = step;
        if self.termination.check() {
            return Err(Failure::Terminated);
        }
        let began = Instant::now();
        let work = || {
            #[cfg(debug_assertions)]
            self.faults.panic_in(step);
            work()
        };
        let done = guarded(work).unwrap_or_else(|panic| Err(Failure::Panicked(panic)));
        // No job starts while the emergency allocator is in use. A job that has run keeps its result.
        let done = done.and_then(|done| match step {
            Step::Runner => Ok(done),
            _ if emergency_alloc::in_use() => Err(Failure::Memory),
            _ => Ok(done),
        });
        self.report.add_duration(step, began.elapsed());
        done
    }

    /// Wipes what a killed run left. Fails if leftovers remain that this job would find.
    fn wipe_found(&mut self) -> Result<(), Failure> {
        let plan = self.wipe_plan;
        let wiped = self.step(Step::Preflight, || Ok(wipe::empty_before_job(plan)))?;
        let WipeOutcome {
            report: found,
            leftovers: left,
        } = wiped;
        if found.files + found.directories + found.leftover_count == 0 {
            return Ok(());
        }
        warn!(
            files = found.files,
            directories = found.directories,
            leftovers = found.leftover_count,
            "an earlier run left files in the workspace: wiped before the job"
        );
        let blocking = wiping::blocking_leftovers(self.config, &left);
        self.report.found = Some(found);
        wiping::judge(blocking, self.termination.check())
    }

    fn note_end(&mut self, end: RunnerEnd) -> Job {
        self.terminal = end.terminal;
        let (exit_code, signal) = match end.ended {
            Ended::Exited(code) => (Some(code), None),
            Ended::Signaled(signal) => (None, Some(signal)),
        };
        info!(exit_code, signal, "the runner ended");
        self.report.runner = Some(RunnerReport {
            exit_code,
            signal,
            starts: end.starts,
            reaped_orphans: end.orphans,
            survivors: Vec::new(),
            unkillable: Vec::new(),
            peak_memory_bytes: peak_memory(),
        });
        Job {
            ended: end.ended,
            cause: end.cause,
            verdict: end.verdict,
        }
    }

    /// Ends all other processes, so that none writes into the workspace during the wipe.
    fn end_survivors(&mut self) {
        let remaining = self.termination.remaining();
        let ended = guarded(|| survivors::end_all(remaining)).unwrap_or_else(|panic| {
            error!("a defect of the supervisor: {panic}");
            Survivors::default()
        });
        if !ended.found.is_empty() {
            warn!(
                processes = ended.found.join(", "),
                "outlived the runner: ended"
            );
        }
        if !ended.remaining.is_empty() {
            warn!(processes = ended.remaining.join(", "), "could not be ended");
        }
        // The survivors may have changed the terminal since the runner's end.
        if let Some(terminal) = self.terminal.take().filter(|_| !ended.found.is_empty()) {
            terminal.take_back();
        }
        if let Some(runner) = &mut self.report.runner {
            runner.reaped_orphans += ended.orphans;
            runner.survivors = ended.found;
            runner.unkillable = ended.remaining;
        }
    }

    fn wipe(&mut self) {
        let began = Instant::now();
        let work = || {
            #[cfg(debug_assertions)]
            self.faults.panic_in(Step::Wipe);
            wipe::empty(self.wipe_plan).report
        };
        let wiped = guarded(work).unwrap_or_else(|panic| {
            error!("a defect of the supervisor: {panic}");
            WipeReport {
                leftover_count: 1,
                leftovers: vec![panic],
                ..WipeReport::default()
            }
        });
        self.report.add_duration(Step::Wipe, began.elapsed());
        info!(
            files = wiped.files,
            directories = wiped.directories,
            leftovers = wiped.leftover_count,
            "wiped"
        );
        for leftover in &wiped.leftovers {
            warn!("left behind: {leftover}");
        }
        self.report.wiped = Some(wiped);
    }

    fn conclude(mut self, outcome: &Result<Job, Failure>) -> u8 {
        let leftovers = self
            .report
            .wiped
            .as_ref()
            .map_or(0, |wiped| wiped.leftover_count);
        let Conclusion {
            reason,
            code,
            failed_step,
            message,
        } = conclude(self.step, outcome, leftovers);
        if let Err(failure) = outcome {
            error!("{failure}");
        }
        self.report.reason = reason;
        self.report.exit_code = code;
        self.report.failed_step = failed_step;
        self.report.message = memory::message(message, self.memory_sentence.take());
        publish::publish(&self.report, &self.config.report.file);
        code
    }
}

/// Runs `work`, and turns a panic into its message, so that wipe and report still follow.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| panic_message(panic.as_ref()))
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a panic without a message".to_owned())
}

/// Protects this process from the job, and makes it the parent of all orphans. Returns its OOM score, which it cannot open later.
fn become_init(config: &Config) -> Result<Option<OomScore>, Failure> {
    let oom_score = OomScore::open().ok();
    process::set_undumpable().map_err(Failure::kernel("prctl(PR_SET_DUMPABLE)"))?;
    let dropped = if nix::unistd::getuid().is_root() {
        process::drop_cap_sys_ptrace()
    } else {
        process::drop_capabilities()
    };
    dropped.map_err(|error| Failure::Kernel {
        what: "capabilities cannot be dropped",
        source: std::io::Error::other(error),
    })?;
    if !is_pid_1() {
        process::become_subreaper().map_err(Failure::kernel("prctl(PR_SET_CHILD_SUBREAPER)"))?;
    }
    if config.die_with_parent {
        process::terminate_with_parent().map_err(Failure::kernel("prctl(PR_SET_PDEATHSIG)"))?;
    }
    Ok(oom_score)
}

/// Returns the peak memory in bytes: of the container if cgroup v2 has it, otherwise of its largest process.
fn peak_memory() -> Option<u64> {
    ContainerUsage::read().memory_peak.or_else(|| {
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN).ok()?;
        u64::try_from(usage.max_rss()).ok().map(|kib| kib * 1024)
    })
}
