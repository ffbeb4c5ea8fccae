//! A runner as a sequence of processes: which is started next, and what the end of each means.

use std::time::Duration;

use nix::unistd::Pid;

use super::error::FlavorError;
use init::reap::Ended;
use init::runner_state::RunnerState;
use init::spawn::Start;
use init::supervise::Watched;
use init::terminate::Cause;
use linux::oom_score::OomScore;
use report::exit;
use report::{CiJob, Reason, Registration};

/// A flavor's runner, from its first process to its last.
pub trait Runner: RunnerState {
    /// The process to start now.
    ///
    /// # Errors
    /// [`FlavorError`] if something that it needs is missing.
    fn start(&mut self) -> Result<Start, FlavorError>;

    /// The score of this process, if that of the runner is to be higher.
    fn oom_score(&self) -> Option<&OomScore> {
        None
    }

    /// The process that was started last has this pid.
    fn begun(&mut self, _runner: Pid) {}

    /// Decides what comes after the process that ended.
    fn ended(&mut self, watched: &Watched) -> Next;

    /// Decides what comes after a request to end that arrived while no process was running.
    fn interrupted(&mut self) -> Next {
        Next::Over(Verdict::terminated())
    }

    /// How long the process that was started last may wait for a job.
    fn idle_timeout(&self) -> Option<Duration> {
        None
    }

    /// The longest that the process that was started last may take.
    fn limit(&self) -> Option<Duration> {
        None
    }

    /// Whether the process that was started last only cleans up after the runner. Its end is then not the runner's.
    fn tidies(&self) -> bool {
        false
    }

    /// Returns what is known of the job that it ran.
    fn job(&self) -> Option<CiJob> {
        None
    }

    /// Returns the state of its registration at the CI service.
    fn registration(&self) -> Option<Registration> {
        None
    }
}

/// What comes after a process.
#[derive(Debug)]
pub enum Next {
    /// Another one, after a pause.
    Again(Duration),
    /// Nothing: this is how the runner ended.
    Over(Verdict),
}

/// What a flavor makes of its runner's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The container's exit code.
    pub code: u8,
    /// Why it ended so, if the exit code does not say it.
    pub reason: Option<Reason>,
    /// A sentence for people.
    pub message: Option<String>,
}

impl Verdict {
    /// A verdict whose exit code needs no reason.
    #[must_use]
    pub fn of_code(code: u8) -> Self {
        Self {
            code,
            reason: None,
            message: None,
        }
    }

    /// A verdict with a reason and a sentence.
    #[must_use]
    pub fn because(code: u8, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: Some(reason),
            message: Some(message.into()),
        }
    }

    /// The verdict if the end was requested and nothing was running.
    #[must_use]
    pub fn terminated() -> Self {
        let code = exit::from_signal(nix::libc::SIGTERM);
        Self::because(code, Reason::Terminated, "asked to end by SIGTERM")
    }
}

/// A runner of one process, which is asked to end even if a job is under way.
pub(super) struct Once {
    start: Option<Start>,
    code: fn(Ended, Option<Cause>) -> u8,
}

impl Once {
    pub(super) fn new(start: Start, code: fn(Ended, Option<Cause>) -> u8) -> Self {
        let start = Some(start);
        Self { start, code }
    }
}

impl RunnerState for Once {}

impl Runner for Once {
    fn start(&mut self) -> Result<Start, FlavorError> {
        self.start.take().ok_or_else(|| FlavorError::Setting {
            flavor: "exec",
            problem: "the command is started only once".to_owned(),
        })
    }

    fn ended(&mut self, watched: &Watched) -> Next {
        let code = (self.code)(watched.ended, watched.cause);
        Next::Over(Verdict::of_code(code))
    }
}
