//! The cheap checks before each job, with the same remedies as the doctor's.

use std::fmt;

use tracing::warn;

use super::check::{CheckResult, Status};
use super::context::Context;
use super::examine::examine;
use super::render;
use super::selection::Selection;
use crate::config::{Config, Driver};

/// One or more checks failed: the job would fail.
#[derive(Debug, thiserror::Error)]
pub struct PreflightError {
    failed: Vec<CheckResult>,
}

impl fmt::Display for PreflightError {
    /// In ASCII: it is read in a log and in `kubectl describe`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.failed.iter().map(|check| check.id.as_str()).collect();
        write!(f, "{} failed", ids.join(", "))?;
        for check in &self.failed {
            let text = render::check_result(check, render::Style::default());
            write!(f, "\n{}", text.trim_end())?;
        }
        Ok(())
    }
}

/// Runs the checks that this configuration needs. Returns the storage driver that works, if a check probed it.
///
/// # Errors
/// [`PreflightError`] with each failed check and its remedy.
pub fn preflight(config: &Config) -> Result<Option<Driver>, PreflightError> {
    if !config.preflight.enabled {
        return Ok(None);
    }
    let context = Context {
        watchdogs: false,
        ..Context::of(config)
    };
    let Some(report) = examine(&context, &Selection::preflight(), None) else {
        return Ok(None);
    };
    let driver = report
        .checks
        .iter()
        .filter(|check| check.id == "storage.driver")
        .find_map(|check| Driver::named(check.value.as_deref()?));
    let (failed, passed): (Vec<_>, Vec<_>) = report
        .checks
        .into_iter()
        .partition(|check| check.status == Status::Fail);
    for check in passed.iter().filter(|check| check.status == Status::Warn) {
        warn!(
            check = check.id,
            found = check.found,
            remedy = check.remedy,
            "{}",
            check.means.as_deref().unwrap_or_default()
        );
    }
    if failed.is_empty() {
        Ok(driver)
    } else {
        Err(PreflightError { failed })
    }
}

#[cfg(test)]
impl PreflightError {
    pub(crate) fn example() -> Self {
        let check = super::checks::all().next().unwrap();
        let failed = vec![CheckResult {
            status: Status::Fail,
            ..CheckResult::of(check)
        }];
        Self { failed }
    }
}
