//! The flavor `github`: GitHub's actions/runner for one job, by its own program rather than `run.sh`, which turns every exit
//! code into 0.
//!
//! Source of all that is said of it here: github.com/actions/runner, `src/Runner.Listener`, at 2.336.

mod codes;
mod command_lines;
mod console;
mod credentials;
mod outcome;
mod prerequisites;
mod root;
mod worker;

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tracing::{info, warn};

use self::codes::{JobResult, Meaning};
use self::console::{Console, Facts};
use self::credentials::Credentials;
pub(super) use self::credentials::JIT as TOKEN;
use self::outcome::{last_word, reason, reported_result, terminated};
use super::environment::Environment;
use super::error::FlavorError;
use super::events::Events;
use super::hook::PageSettings;
use super::runner::{Next, Runner, Verdict};
use crate::config::{Config, Github as Settings, Workspace};
use crate::secrets::Store;
use crate::workspace::RuntimeDir;
use init::reap::Ended;
use init::runner_state::{RunnerState, Worker};
use init::spawn::{Escalation, Input, Output, Receiver, Start};
use init::supervise::Watched;
use init::terminate::{self, Cause};
use report::{CiJob, Reason, Registration};

/// How long a registration and its removal may take.
const HELPER_LIMIT: Duration = Duration::from_secs(120);
/// The same for a removal after SIGTERM, when wipe and report have to follow.
const HURRIED_LIMIT: Duration = Duration::from_secs(5);
/// How long GitHub keeps an ephemeral runner that is not connected (docs.github.com, "Removing self-hosted runners").
const OFFLINE_LIMIT: Duration = Duration::from_secs(24 * 3600);
/// The longest pause before another start.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// One runner, from registration to removal.
pub(super) struct Github {
    settings: Settings,
    page: PageSettings,
    workspace: Workspace,
    /// The variables that the settings give to the job.
    env: BTreeMap<String, String>,
    environment: Environment,
    credentials: Credentials,
    events: Events,
    console: Option<Console>,
    phase: Phase,
    root: Option<PathBuf>,
    registered: bool,
    removed: bool,
    gone: bool,
    restarts: u32,
    job: Option<CiJob>,
    verdict: Option<Verdict>,
    hurried: bool,
    /// When the last process was started.
    started: Instant,
}

/// What the next process is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Configure,
    Run,
    Remove,
}

/// Program and tokens, without starting anything.
pub(super) fn look(config: &Config, secrets: &mut Store) -> Result<(), FlavorError> {
    prerequisites::require(config, secrets, &Environment::new()).map(drop)
}

impl Github {
    /// Opens the console of a listener that waits for a job. `configure` and `remove` write to the supervisor's own.
    fn open_console(&mut self) -> Result<Option<Output>, FlavorError> {
        self.console = None;
        if self.phase != Phase::Run {
            return Ok(None);
        }
        let (console, output) = Console::open().map_err(|error| FlavorError::Setting {
            flavor: "github",
            problem: format!("no pipe for the runner's console: {error}"),
        })?;
        self.console = Some(console);
        Ok(Some(output))
    }

    fn facts(&self) -> Facts {
        self.console
            .as_ref()
            .map_or_else(Facts::default, Console::facts)
    }

    pub(super) fn prepare(
        config: &Config,
        environment: Environment,
        mut secrets: Store,
    ) -> Result<Self, FlavorError> {
        let credentials = prerequisites::require(config, &mut secrets, &environment)?;
        linux::process::isolate_from_children();
        let jit = credentials.is_jit();
        Ok(Self {
            events: Events::open(RuntimeDir::new(&config.runtime_directory))?,
            console: None,
            settings: config.github.clone(),
            page: PageSettings::new(config),
            workspace: config.workspace.clone(),
            env: config.runner.env.clone(),
            environment,
            credentials,
            phase: if jit { Phase::Run } else { Phase::Configure },
            root: None,
            // Minting a JIT configuration registers the runner.
            registered: jit,
            removed: false,
            gone: false,
            restarts: 0,
            job: None,
            verdict: None,
            hurried: false,
            started: Instant::now(),
        })
    }

    fn ended_configure(&mut self, watched: &Watched) -> Next {
        self.registered = self.root.as_deref().is_some_and(root::is_configured);
        let hung = watched.cause == Some(Cause::Deadline) && self.started.elapsed() >= HELPER_LIMIT;
        if let Some(cause) = watched.cause.filter(|_| !hung) {
            return self.over(terminated(cause));
        }
        if watched.ended == Ended::Exited(0) && !hung {
            self.phase = Phase::Run;
            return Next::Again(Duration::ZERO);
        }
        let sentence = if hung {
            "the runner could not be registered within two minutes: it does not reach github.url, see its words above"
        } else {
            "the runner could not be registered, see its words above; registration tokens live for one hour"
        };
        self.over(Verdict::because(
            watched.ended.code(),
            Reason::RunnerError,
            sentence,
        ))
    }

    fn ended_run(&mut self, watched: &Watched) -> Next {
        self.gone = self.facts().unregistered;
        let (ended, meaning) = last_word(watched);
        let result = reported_result(watched, meaning);
        if let Some(result) = result {
            self.job.get_or_insert_default().result = Some(result.name().to_owned());
        }
        match (watched.cause, &mut self.job) {
            // Silence is no answer: a job that was let go on ended by itself.
            (Some(cause), Some(job)) if watched.phase == Some(terminate::Phase::Wait) => {
                job.drained = cause == Cause::Requested;
            }
            // The job was over, and the hook saw it.
            (Some(Cause::Lingering), Some(job)) if result.is_none() => {
                let verdict = match job.completed_at {
                    Some(_) => Verdict::because(0, Reason::Completed, "the job is done"),
                    None => terminated(Cause::Lingering),
                };
                return self.over(verdict);
            }
            (None | Some(Cause::Lingering), Some(_)) => {}
            (Some(cause), job) => {
                if let Some(job) = job {
                    job.ended_by = Some(reason(cause));
                }
                // A step's end need not fail its job.
                if !result.is_some_and(JobResult::is_success) {
                    return self.over(terminated(cause));
                }
            }
            (None, None) if self.gone => {
                return self.over(codes::unregistered(ended));
            }
            (None, None) if meaning.may_pass() => {
                if let Some(pause) = self.pause(meaning) {
                    return Next::Again(pause);
                }
            }
            (None, None) => {}
        }
        let verdict = codes::verdict(
            self.settings.exit_with_job,
            ended,
            meaning,
            self.job.is_some(),
        );
        self.over(verdict)
    }

    /// How long to wait before the next start, if there is to be one.
    fn pause(&mut self, meaning: Meaning) -> Option<Duration> {
        let settings = &self.settings;
        if self.restarts >= settings.retries {
            return None;
        }
        let factor = 2u32.saturating_pow(self.restarts);
        let pause = match meaning {
            Meaning::Refreshed => Duration::ZERO,
            _ => settings
                .retry_pause
                .saturating_mul(factor)
                .min(LONGEST_PAUSE),
        };
        self.restarts += 1;
        info!(
            ?pause,
            start = self.restarts + 1,
            of = settings.retries + 1,
            "{}: it is started again",
            meaning.text()
        );
        Some(pause)
    }

    /// The runner is over; what is left is to take it off GitHub's list, if it never had a job.
    fn over(&mut self, verdict: Verdict) -> Next {
        let unused = self.registered && self.job.is_none() && !self.gone;
        let can = self.credentials.remove().is_some()
            && self.root.as_deref().is_some_and(root::is_configured);
        if unused && can && self.phase != Phase::Remove {
            self.phase = Phase::Remove;
            self.hurried = verdict.reason == Some(Reason::Terminated);
            self.verdict = Some(verdict);
            return Next::Again(Duration::ZERO);
        }
        if self.registration() == Some(Registration::Lingers) {
            let day = humantime::format_duration(OFFLINE_LIMIT);
            warn!(
                "the runner had no job and stays in GitHub's list as offline; GitHub removes it after {day}, the secret remove_token would have at once"
            );
        }
        Next::Over(verdict)
    }

    fn ended_remove(&mut self, watched: &Watched) -> Next {
        self.removed = watched.ended == Ended::Exited(0);
        let verdict = self.verdict.take();
        self.over(verdict.unwrap_or_else(Verdict::terminated))
    }
}

impl RunnerState for Github {
    fn events(&self) -> Vec<BorrowedFd<'_>> {
        let console = self.console.iter().flat_map(Console::fds);
        [self.events.fd()].into_iter().chain(console).collect()
    }

    fn look(&mut self) {
        self.events.read_into(&mut self.job);
        self.console.iter_mut().for_each(Console::read);
        // Its worker comes later, and not before the first renewal.
        if self.facts().acquired {
            self.job.get_or_insert_default();
        }
    }

    fn unreachable_at(&self) -> Option<Instant> {
        let waits = self.phase == Phase::Run && self.job.is_none();
        let since = self.facts().out_of_reach_since(self.started);
        let timeout = self.settings.connect_timeout;
        since.filter(|_| waits)?.checked_add(timeout)
    }

    fn worker(&self) -> Option<Worker> {
        (self.phase == Phase::Run).then_some(Worker {
            name: worker::COMM,
            step_grace: self.settings.step_grace,
        })
    }

    fn busy(&mut self) -> bool {
        self.look();
        // It has one job in its life, and is busy with it to its end: logs are sent after the last step.
        if self.job.is_none() && worker::is_running() {
            self.job = Some(CiJob::default());
        }
        self.job.is_some()
    }

    fn reports(&mut self) -> bool {
        self.look();
        self.job
            .as_ref()
            .is_some_and(|job| job.completed_at.is_some())
    }
}

impl Runner for Github {
    fn start(&mut self) -> Result<Start, FlavorError> {
        let root = match self.root.take() {
            Some(root) => root,
            None => root::arrange(&self.settings.directory, self.workspace.runner())?,
        };
        let (arguments, environment) = match self.phase {
            Phase::Configure => self.configure(),
            Phase::Run => self.run()?,
            Phase::Remove => (
                vec!["remove".to_owned()],
                self.with_input("TOKEN", self.credentials.remove()),
            ),
        };
        let output = self.open_console()?;
        let start = Start {
            program: root.join(root::LISTENER).into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
            environment,
            directory: root.clone(),
            escalation: Escalation {
                graceful: Signal::SIGINT,
                term: Signal::SIGTERM,
                // It tells its worker, which ends the step, skips all others, and tells GitHub that the job failed.
                graceful_to: Receiver::Runner,
                term_to: Receiver::Group,
            },
            stdin: Input::Empty,
            output,
        };
        self.root = Some(root);
        self.started = Instant::now();
        Ok(start)
    }

    fn ended(&mut self, watched: &Watched) -> Next {
        match self.phase {
            Phase::Configure => self.ended_configure(watched),
            Phase::Run => self.ended_run(watched),
            Phase::Remove => self.ended_remove(watched),
        }
    }

    fn interrupted(&mut self) -> Next {
        self.over(Verdict::terminated())
    }

    fn idle_timeout(&self) -> Option<Duration> {
        let waits = self.phase == Phase::Run;
        self.settings.idle_timeout.filter(|_| waits)
    }

    fn limit(&self) -> Option<Duration> {
        match self.phase {
            Phase::Configure => Some(HELPER_LIMIT),
            Phase::Run => None,
            Phase::Remove if self.hurried => Some(HURRIED_LIMIT),
            Phase::Remove => Some(HELPER_LIMIT),
        }
    }

    fn tidies(&self) -> bool {
        self.phase == Phase::Remove
    }

    fn job(&self) -> Option<CiJob> {
        self.job.clone()
    }

    fn registration(&self) -> Option<Registration> {
        if self.job.is_some() {
            Some(Registration::Used)
        } else if self.removed {
            Some(Registration::Removed)
        } else if self.gone {
            Some(Registration::Gone)
        } else {
            self.registered.then_some(Registration::Lingers)
        }
    }
}

#[cfg(test)]
mod tests;
