//! Selects checks: all, those of the preflight, or those that the user names.

use super::check::{Check, CheckResult, GROUPS, Status};
use super::checks::{self, limits};

/// Checks to run and to show.
#[derive(Debug)]
pub struct Selection {
    wanted: Vec<&'static Check>,
    /// The wanted checks, and the checks that they need.
    needed: Vec<&'static Check>,
}

/// A name that no group and no check has.
#[derive(Debug, thiserror::Error)]
#[error("found {0:?}, expected a group or a check; groups: {groups}; checks: {ids}", groups = names(GROUPS.iter().map(|(name, _)| *name)), ids = names(checks::all().map(|check| check.id)))]
pub struct UnknownName(pub(super) String);

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

impl Selection {
    /// Selects every check.
    #[must_use]
    pub fn all() -> Self {
        Self::of(|_| true)
    }

    /// Selects the checks that `supervisor run` runs before each job.
    #[must_use]
    pub(super) fn preflight() -> Self {
        Self::of(|check| check.preflight)
    }

    /// Selects the checks and groups of these names.
    ///
    /// # Errors
    /// [`UnknownName`] for the first name that no group and no check has.
    pub fn named(names: &[String]) -> Result<Self, UnknownName> {
        let is = |check: &Check, name: &String| check.id == name || check.group() == name;
        let unknown = names
            .iter()
            .find(|name| !checks::all().any(|check| is(check, name)));
        match unknown {
            Some(name) => Err(UnknownName(name.clone())),
            None => Ok(Self::of(|check| names.iter().any(|name| is(check, name)))),
        }
    }

    fn of(wants: impl Fn(&Check) -> bool) -> Self {
        let wanted: Vec<_> = checks::all().filter(|check| wants(check)).collect();
        let mut needed: Vec<&str> = wanted.iter().map(|check| check.id).collect();
        needed.push(limits::PROCESSES);
        let mut seen = 0;
        while let Some(id) = needed.get(seen) {
            let needs = checks::find(id).map_or(&[][..], |check| check.needs);
            needed.extend(needs);
            seen += 1;
        }
        let needed = checks::all()
            .filter(|check| needed.contains(&check.id))
            .collect();
        Self { wanted, needed }
    }

    pub(super) fn with_needed(&self) -> &[&'static Check] {
        &self.needed
    }

    /// Keeps the results of the wanted checks, and of the needed checks that failed.
    pub(super) fn shown(&self, mut results: Vec<CheckResult>) -> Vec<CheckResult> {
        results.retain(|result| {
            let wanted = self.wanted.iter().any(|check| check.id == result.id);
            wanted || result.status == Status::Fail
        });
        results
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_checks_run_with_their_needs_and_show_failed_ones() {
        let selection = Selection::named(&["idmap.map".to_owned()]).unwrap();
        let ids: Vec<_> = selection.needed.iter().map(|check| check.id).collect();
        assert!(ids.contains(&"privileges.syscalls") && ids.contains(&"userns.create"));
        assert!(!ids.contains(&"storage.driver"));
        let mut results: Vec<_> = selection
            .needed
            .iter()
            .map(|check| CheckResult::of(check))
            .collect();
        results[0].status = Status::Fail;
        let shown = selection.shown(results).into_iter();
        let shown: Vec<_> = shown.map(|result| result.id).collect();
        assert_eq!(shown, ["kernel.processes", "idmap.map"]);
    }

    #[test]
    fn unknown_name_error_lists_the_known_names() {
        let text = Selection::named(&["fuse".to_owned()])
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("\"fuse\"") && text.contains("idmap.map"),
            "{text}"
        );
    }
}
