//! Which checks: all, the cheap ones, or those that the user names.

use super::check::{Check, GROUPS, Outcome, Status};
use super::checks::{self, limits};

/// Checks to run and to show.
#[derive(Debug)]
pub struct Selection {
    wanted: Vec<&'static Check>,
    needed: Vec<&'static Check>,
}

/// A name that is neither a group's nor a check's.
#[derive(Debug, thiserror::Error)]
#[error("there is no check or group {0:?}; groups: {groups}; checks: {ids}", groups = names(GROUPS.iter().map(|(name, _)| *name)), ids = names(checks::all().map(|check| check.id)))]
pub struct Unknown(pub String);

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

impl Selection {
    /// Every check.
    #[must_use]
    pub fn all() -> Self {
        Self::of(|_| true)
    }

    /// What `supervisor run` asks before each job.
    #[must_use]
    pub fn preflight() -> Self {
        Self::of(|check| check.preflight)
    }

    /// The checks and groups of these names.
    ///
    /// # Errors
    /// [`Unknown`] naming the first that is neither.
    pub fn named(names: &[String]) -> Result<Self, Unknown> {
        let is = |check: &Check, name: &String| check.id == name || check.group() == name;
        let unknown = names
            .iter()
            .find(|name| !checks::all().any(|check| is(check, name)));
        match unknown {
            Some(name) => Err(Unknown(name.clone())),
            None => Ok(Self::of(|check| names.iter().any(|name| is(check, name)))),
        }
    }

    fn of(wants: impl Fn(&Check) -> bool) -> Self {
        let wanted: Vec<_> = checks::all().filter(|check| wants(check)).collect();
        let mut needed: Vec<&str> = wanted.iter().map(|check| check.id).collect();
        needed.push(limits::PROCESSES);
        let mut seen = 0;
        while let Some(id) = needed.get(seen) {
            let after = checks::find(id).map_or(&[][..], |check| check.after);
            needed.extend(after);
            seen += 1;
        }
        let needed = checks::all()
            .filter(|check| needed.contains(&check.id))
            .collect();
        Self { wanted, needed }
    }

    /// The checks, and those that they need.
    pub(super) fn with_needed(&self) -> &[&'static Check] {
        &self.needed
    }

    /// What is shown: the wanted, and whatever failed before them.
    pub(super) fn shown(&self, mut outcomes: Vec<Outcome>) -> Vec<Outcome> {
        outcomes.retain(|outcome| {
            let wanted = self.wanted.iter().any(|check| check.id == outcome.id);
            wanted || outcome.status == Status::Fail
        });
        outcomes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_selects_what_it_needs_too_and_shows_it_only_where_it_failed() {
        let selection = Selection::named(&["idmap.map".to_owned()]).unwrap();
        let ids: Vec<_> = selection.needed.iter().map(|check| check.id).collect();
        assert!(ids.contains(&"privileges.syscalls") && ids.contains(&"userns.create"));
        assert!(!ids.contains(&"storage.driver"));
        let mut outcomes: Vec<_> = selection
            .needed
            .iter()
            .map(|check| Outcome::of(check))
            .collect();
        outcomes[0].status = Status::Fail;
        let shown: Vec<_> = selection
            .shown(outcomes)
            .into_iter()
            .map(|o| o.id)
            .collect();
        assert_eq!(shown, ["kernel.processes", "idmap.map"]);
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let text = Selection::named(&["fuse".to_owned()])
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("\"fuse\"") && text.contains("idmap.map"),
            "{text}"
        );
    }
}
