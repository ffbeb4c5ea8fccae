//! Before each job: the cheap checks, with the same cures as the doctor's.

use std::fmt;

use tracing::warn;

use super::check::{Outcome, Status};
use super::examine::examine;
use super::render;
use super::scene::Scene;
use super::selection::Selection;
use crate::config::{Config, Driver};

/// Fatal checks that failed.
#[derive(Debug, thiserror::Error)]
pub struct Fatal {
    failed: Vec<Outcome>,
}

impl fmt::Display for Fatal {
    /// In ASCII: it is read in a log and in `kubectl describe`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.failed.iter().map(|check| check.id.as_str()).collect();
        write!(f, "{} failed", ids.join(", "))?;
        for check in &self.failed {
            write!(
                f,
                "\n{}",
                render::outcome(check, render::Style::default()).trim_end()
            )?;
        }
        Ok(())
    }
}

/// What was found on the way.
#[derive(Debug, Default, Clone, Copy)]
pub struct Found {
    /// The storage driver that works and is to be taken.
    pub driver: Option<Driver>,
}

/// Runs the checks that this configuration needs.
///
/// # Errors
/// [`Fatal`] with each that failed and its cure.
pub fn preflight(config: &Config) -> Result<Found, Fatal> {
    if !config.preflight.enabled {
        return Ok(Found::default());
    }
    let scene = Scene {
        guarded: false,
        ..Scene::of(config)
    };
    let Some(report) = examine(&scene, &Selection::preflight(), None) else {
        return Ok(Found::default());
    };
    let driver = (report.checks.iter())
        .filter(|check| check.id == "storage.driver")
        .find_map(|check| Driver::named(check.value.as_deref()?));
    let (failed, others): (Vec<_>, Vec<_>) =
        (report.checks.into_iter()).partition(|check| check.status == Status::Fail);
    for check in others.iter().filter(|check| check.status == Status::Warn) {
        warn!(
            check = check.id,
            found = check.found,
            cure = check.cure,
            "{}",
            check.means.as_deref().unwrap_or_default()
        );
    }
    if failed.is_empty() {
        Ok(Found { driver })
    } else {
        Err(Fatal { failed })
    }
}

#[cfg(test)]
impl Fatal {
    pub(crate) fn example() -> Self {
        let check = super::checks::all().next().unwrap();
        let failed = vec![Outcome {
            status: Status::Fail,
            ..Outcome::of(check)
        }];
        Self { failed }
    }
}
