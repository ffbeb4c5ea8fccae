//! The memory guard of a run: which processes it may kill, and where its kills are reported.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use nix::unistd::Pid;
use tracing::warn;

use crate::config::{self, Config, FlavorName, MemoryGuard};
use crate::flavor::{FlavorError, Next, Runner};
use crate::job_watch::JobWatch;
use init::runner_state::{RunnerState, Worker};
use init::spawn::Start;
use init::supervise::Watched;
use init::terminate::Cause;
use linux::oom_score::OomScore;
use memory_guard::{Guard, Mode, Scope, Settings, words};
use report::{CiJob, Registration, Report};

/// Returns the settings of the guard in the container of this name; `None` if it is off.
pub(crate) fn settings(config: &config::Memory, container: &'static str) -> Option<Settings> {
    let mode = match config.guard {
        MemoryGuard::Off => return None,
        MemoryGuard::Auto => Mode::Auto,
        MemoryGuard::On => Mode::On,
    };
    Some(Settings {
        mode,
        headroom: config.headroom,
        container,
    })
}

/// How many generations of processes are the runner's own, and not the job's.
fn spared(flavor: FlavorName) -> u8 {
    match flavor {
        // The command is the job.
        FlavorName::Exec => 0,
        // act starts the steps itself.
        FlavorName::Local => 1,
        // Listener and worker; machine runner and task agent.
        FlavorName::Github | FlavorName::Circleci => 2,
    }
}

/// A runner with a guard beside it.
pub(crate) struct GuardedRunner {
    runner: Box<dyn Runner>,
    guard: Option<Guard>,
    /// The runner takes a job of its own, and until then nothing is watched.
    waits_for_job: bool,
    /// GitHub's runner raises the score of its steps itself.
    oom_score: Option<OomScore>,
    /// What else is learned of the job.
    watch: JobWatch,
    sentence: Option<String>,
}

impl GuardedRunner {
    /// Starts the guard, which sleeps until there is a job.
    pub(crate) fn new(
        config: &Config,
        runner: Box<dyn Runner>,
        oom_score: Option<OomScore>,
    ) -> Self {
        let settings = settings(&config.memory, "runner");
        let scope = Scope::job(spared(config.flavor));
        Self {
            runner,
            guard: settings.and_then(|settings| Guard::start(settings, scope)),
            waits_for_job: matches!(config.flavor, FlavorName::Github | FlavorName::Circleci),
            oom_score: oom_score.filter(|_| config.flavor != FlavorName::Github),
            watch: JobWatch::new(config),
            sentence: None,
        }
    }

    /// Ends the guard, and adds to the report what is known of the job. Returns the sentence of the first kill.
    pub(crate) fn finish(&mut self, report: &mut Report) -> Option<String> {
        if let Some(guard) = &mut self.guard {
            guard.stop();
        }
        self.log_kills();
        report.memory = self.guard.as_ref().map(Guard::report);
        self.watch.finish(report);
        self.sentence.take()
    }

    fn log_kills(&mut self) {
        let Some(guard) = &mut self.guard else { return };
        for kill in guard.new_kills() {
            let sentence = words::sentence(&kill, guard.container());
            warn!("{sentence}");
            if self.sentence.is_none() {
                self.watch.note_memory(&sentence);
                self.sentence = Some(sentence);
            }
        }
    }

    fn switch(&mut self) {
        let active = !self.waits_for_job || self.runner.job().is_some();
        if active {
            self.watch.begin();
        }
        if let Some(guard) = &self.guard {
            guard.set_active(active);
        }
    }
}

impl RunnerState for GuardedRunner {
    fn events(&self) -> Vec<BorrowedFd<'_>> {
        let mut events = self.runner.events();
        events.extend(self.guard.iter().map(Guard::events));
        events.extend(self.watch.events());
        events
    }

    fn look(&mut self) {
        self.runner.look();
        self.log_kills();
        self.switch();
        let steps_done = self.runner.job().and_then(|job| job.completed_at);
        self.watch.look(steps_done.is_some());
    }

    fn ending(&mut self, cause: Cause, since: Instant) {
        self.runner.ending(cause, since);
        self.watch.ending(cause, since);
    }

    fn worker(&self) -> Option<Worker> {
        self.runner.worker()
    }

    fn busy(&mut self) -> bool {
        let busy = self.runner.busy();
        self.switch();
        busy
    }

    fn unreachable_at(&self) -> Option<Instant> {
        self.runner.unreachable_at()
    }

    fn reports(&mut self) -> bool {
        self.runner.reports()
    }
}

impl Runner for GuardedRunner {
    fn start(&mut self) -> Result<Start, FlavorError> {
        self.runner.start()
    }

    fn oom_score(&self) -> Option<&OomScore> {
        self.oom_score.as_ref()
    }

    fn begun(&mut self, runner: Pid) {
        self.runner.begun(runner);
        if let Some(guard) = &self.guard {
            guard.set_runner(runner.as_raw());
        }
        self.switch();
    }

    fn ended(&mut self, watched: &Watched) -> Next {
        self.runner.ended(watched)
    }

    fn interrupted(&mut self) -> Next {
        self.runner.interrupted()
    }

    fn idle_timeout(&self) -> Option<Duration> {
        self.runner.idle_timeout()
    }

    fn limit(&self) -> Option<Duration> {
        self.runner.limit()
    }

    fn tidies(&self) -> bool {
        self.runner.tidies()
    }

    fn job(&self) -> Option<CiJob> {
        self.runner.job()
    }

    fn registration(&self) -> Option<Registration> {
        self.runner.registration()
    }
}

/// Adds the sentence of a kill to the message of a run.
pub(crate) fn message(message: Option<String>, sentence: Option<String>) -> Option<String> {
    match (message, sentence) {
        (Some(message), Some(sentence)) => Some(format!("{message}; {sentence}")),
        (message, sentence) => message.or(sentence),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_follow_the_configuration() {
        let settings = |guard| {
            let config = config::Memory {
                guard,
                headroom: Some(7),
            };
            settings(&config, "runner").map(|settings| (settings.mode, settings.headroom))
        };
        assert_eq!(settings(MemoryGuard::Off), None);
        assert_eq!(settings(MemoryGuard::Auto), Some((Mode::Auto, Some(7))));
        assert_eq!(settings(MemoryGuard::On), Some((Mode::On, Some(7))));
    }

    #[test]
    fn runner_and_worker_are_spared_as_the_flavor_has_them() {
        let all = [
            FlavorName::Exec,
            FlavorName::Local,
            FlavorName::Github,
            FlavorName::Circleci,
        ];
        assert_eq!(all.map(spared), [0, 1, 2, 2]);
    }

    #[test]
    fn message_keeps_what_the_runner_said() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(message(text("a"), text("b")), text("a; b"));
        assert_eq!(message(None, text("b")), text("b"));
        assert_eq!(message(text("a"), None), text("a"));
    }
}
