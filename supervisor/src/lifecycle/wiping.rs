//! The wipes of one run: before the job for what a killed run left, and after it, as fast as the kubelet asks.

use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::init::signals::Signals;
use crate::report::Wiped;
use crate::{wipe, workspace};

/// Empties everything that is the job's.
pub(super) fn all(
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

/// The same before the job. Mostly there is nothing, and that is seen sooner than wiped.
pub(super) fn found(config: &Config, before: Option<&wipe::Mounts>, asked: &Asked) -> Wiped {
    let nothing = || (workspace::wiped(config).iter()).all(|root| is_empty(root));
    // Without a list of mounts, those that lie on an empty directory are to be detached too.
    if before.is_some() && nothing() {
        return Wiped::default();
    }
    let hurry = || asked.at().map(|_| Duration::ZERO);
    all(config, config.wipe.budget, before, &hurry)
}

/// What is left in the directories that the job works in, by name; elsewhere nobody looks for what a job left, and
/// what was mounted there is the pod's.
pub(super) fn in_the_way(config: &Config, found: &Wiped) -> Option<String> {
    let workspace = &config.workspace;
    let own = [
        workspace.work(),
        workspace.home(),
        workspace.temporary(),
        config.graph_root(),
    ];
    let own = own.map(|path| path.display().to_string());
    let is_own = |left: &&String| own.iter().any(|path| left.starts_with(path));
    let left: Vec<&str> = (found.leftovers.iter())
        .filter(is_own)
        .filter(|left| !left.contains(": EXDEV "))
        .map(String::as_str)
        .collect();
    (!left.is_empty()).then(|| left.join(", "))
}

/// Whether there is nothing at all: no such path, or an empty directory that is no symlink.
fn is_empty(root: &Path) -> bool {
    match root.symlink_metadata() {
        Ok(found) if found.is_dir() => {
            std::fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_none())
        }
        Ok(_) => false,
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
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
