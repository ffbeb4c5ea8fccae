//! What a run wipes, and how long that may take when the end is asked for meanwhile.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::init::signals::Signals;
use crate::report::Wiped;
use crate::{wipe, workspace};

/// Empties all that is the job's.
pub(super) fn wipe_all(
    config: &Config,
    budget: Duration,
    before: Option<&wipe::Mounts>,
    hurry: wipe::Hurry,
) -> Wiped {
    wipe::empty(&wipe::Emptying {
        paths: &workspace::wiped(config),
        files_first: &[config.workspace.home()],
        budget,
        hurry,
        before,
    })
}

/// When the end was asked for, be it while the wipe runs: several threads ask.
pub(super) struct Asked<'a> {
    signals: &'a Signals,
    at: OnceLock<Instant>,
}

impl<'a> Asked<'a> {
    pub(super) fn new(signals: &'a Signals, at: Option<Instant>) -> Self {
        Self {
            signals,
            at: at.map_or_else(OnceLock::new, OnceLock::from),
        }
    }

    pub(super) fn at(&self) -> Option<Instant> {
        if self.at.get().is_none() && self.signals.terminated_early() {
            let _ = self.at.set(Instant::now());
        }
        self.at.get().copied()
    }
}

/// What is left of the kubelet's patience, less a second for the report.
pub(super) fn patience(config: &Config, asked_at: Instant) -> Duration {
    let grace = config.termination_grace_period;
    let end = grace.saturating_sub(Duration::from_secs(1));
    end.saturating_sub(asked_at.elapsed())
}
