//! The flavor `circleci`: CircleCI's machine runner 3 for one task.
//!
//! Source: CircleCI's "Machine runner 3 configuration reference", and its changelog of release 3.1.13.

mod configuration;
mod task_user;

use std::os::fd::BorrowedFd;
use std::path::Path;

use nix::sys::signal::Signal;
use nix::unistd::{AccessFlags, access};
use tracing::warn;

use self::configuration::Configuration;
use super::environment::Environment;
use super::error::FlavorError;
use super::events::Events;
use super::runner::{Next, Runner, Verdict};
use super::tokens;
use crate::config::{Circleci as Settings, Config, Workspace};
use crate::secrets::{Secret, Store};
use crate::workspace::RuntimeDir;
use init::reap::Ended;
use init::runner_state::RunnerState;
use init::spawn::{Escalation, Input, Receiver, Start};
use init::supervise::Watched;
use init::terminate::{Cause, Phase};
use report::exit;
use report::{CiJob, Reason};

/// The Secret's key.
pub(super) const TOKEN: &str = "resource_class_token";

/// One machine runner.
pub(super) struct Circleci {
    settings: Settings,
    workspace: Workspace,
    runtime: RuntimeDir,
    environment: Environment,
    token: Secret,
    events: Events,
    configuration: Option<Configuration>,
    task: Option<CiJob>,
}

/// Checks program and token, and starts nothing.
pub(super) fn look(config: &Config, secrets: &mut Store) -> Result<Secret, FlavorError> {
    let token = tokens::remove_checked(secrets, TOKEN, tokens::resource_class)?;
    let token = token.ok_or_else(|| FlavorError::Token {
        key: TOKEN.to_owned(),
        problem: format!(
            "is missing in {}; the Secret needs the key {TOKEN}",
            config.secrets.directory.display()
        ),
    })?;
    require(&config.circleci)?;
    Ok(token)
}

impl Circleci {
    pub(super) fn prepare(
        config: &Config,
        environment: Environment,
        mut secrets: Store,
    ) -> Result<Self, FlavorError> {
        let token = look(config, &mut secrets)?;
        linux::process::isolate_from_children();
        let runtime = RuntimeDir::new(&config.runtime_directory);
        Ok(Self {
            settings: config.circleci.clone(),
            workspace: config.workspace.clone(),
            events: Events::open(runtime.clone())?,
            runtime,
            environment,
            token,
            configuration: None,
            task: None,
        })
    }

    /// Returns the verdict on a runner that ended by itself. Its exit codes are not documented.
    fn by_itself(&self, ended: Ended) -> Verdict {
        let waited = self.settings.idle_timeout.is_some();
        match (ended, &self.task) {
            (Ended::Exited(0), Some(_)) => {
                Verdict::because(0, Reason::Completed, "the task is done")
            }
            (Ended::Exited(0), None) if waited => {
                Verdict::because(0, Reason::Idle, "no task came within circleci.idle_timeout")
            }
            (Ended::Exited(0), None) => {
                Verdict::because(0, Reason::Completed, "the runner ended without a task")
            }
            (Ended::Exited(code), None) => Verdict::because(
                code,
                Reason::RunnerError,
                "the runner gave up, see its output above: its token or address is not valid",
            ),
            _ => Verdict::of_code(ended.code()),
        }
    }
}

/// The image must have the runner, and the task must not be able to look into it.
fn require(settings: &Settings) -> Result<(), FlavorError> {
    let program: &Path = &settings.program;
    access(program, AccessFlags::X_OK).map_err(|errno| FlavorError::Setting {
        flavor: "circleci",
        problem: format!(
            "{}: {errno}; take the image runner-circleci, or set circleci.program to where circleci-runner is",
            program.display()
        ),
    })?;
    if !task_user::is_another(&settings.command_prefix)
        && access(program, AccessFlags::R_OK).is_ok()
    {
        warn!(
            program = %program.display(),
            "the runner's program can be read, so its task can read its memory and take its token; make it execute-only (chmod 0111, owned by root) and the container's user one who cannot read it all the same (no DAC_OVERRIDE)"
        );
    }
    Ok(())
}

impl RunnerState for Circleci {
    fn events(&self) -> Vec<BorrowedFd<'_>> {
        let read = self.configuration.as_ref().and_then(Configuration::fd);
        [Some(self.events.fd()), read]
            .into_iter()
            .flatten()
            .collect()
    }

    fn look(&mut self) {
        if let Some(configuration) = &mut self.configuration {
            configuration.remove_once_read();
        }
        self.events.read_into(&mut self.task);
    }

    // The runner drains on the first SIGTERM, so the signal is sent at once.
    fn busy(&mut self) -> bool {
        self.look();
        self.task.is_some()
    }
}

impl Runner for Circleci {
    fn start(&mut self) -> Result<Start, FlavorError> {
        let path = Configuration::place(&self.runtime);
        let own = &self.settings.command_prefix;
        let prefix = task_user::prefix(own, &self.workspace, &path, self.events.path())?;
        let content =
            configuration::content(&self.settings, self.workspace.work(), &self.token, prefix);
        let configuration = Configuration::write(&self.runtime, &content)?;
        self.configuration = Some(configuration);
        Ok(Start {
            program: self.settings.program.clone().into(),
            arguments: vec!["machine".into(), "--config".into(), path.into()],
            environment: self.environment.clone(),
            directory: self.workspace.home(),
            escalation: Escalation {
                // The first SIGTERM drains, the second cancels. The runner itself signals its task agent.
                graceful: Signal::SIGTERM,
                term: Signal::SIGTERM,
                graceful_to: Receiver::Runner,
                term_to: Receiver::Runner,
            },
            stdin: Input::Empty,
            output: None,
        })
    }

    fn ended(&mut self, watched: &Watched) -> Next {
        // The configuration is removed however the runner ended.
        self.configuration = None;
        let verdict = match (watched.cause, watched.phase, &mut self.task) {
            (None, ..) => self.by_itself(watched.ended),
            (Some(Cause::Requested), Some(Phase::Graceful), Some(task))
                if watched.ended == Ended::Exited(0) =>
            {
                task.drained = true;
                self.by_itself(watched.ended)
            }
            (Some(Cause::Deadline), ..) => {
                Verdict::of_code(exit::from_signal(Signal::SIGTERM as i32))
            }
            _ => Verdict::terminated(),
        };
        Next::Over(verdict)
    }

    fn job(&self) -> Option<CiJob> {
        self.task.clone()
    }
}
