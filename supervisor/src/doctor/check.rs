//! What a check is, and what it finds: plain data. Only `look` is code.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::duty::Duty;
use super::scene::Scene;

/// How a check ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Works, but slower, looser or more fragile than it could.
    Warn,
    /// What this container has to do will not work.
    Fail,
    /// Not looked at, for the reason given.
    Skipped,
}

/// One way in which a check goes wrong. `{name}` in its texts is filled in by what was found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    /// Its name within the check.
    pub name: &'static str,
    /// [`Status::Warn`] or [`Status::Fail`].
    pub status: Status,
    /// What it means for the user, in words that need no knowledge of the kernel.
    pub means: &'static str,
    /// What to do, as text that can be pasted.
    pub cure: &'static str,
}

/// One check.
#[derive(Debug)]
pub(crate) struct Check {
    /// `group.name`.
    pub id: &'static str,
    /// What is true when it is ok.
    pub title: &'static str,
    /// How it looks, for `--explain` and the docs.
    pub how: &'static str,
    /// Whom it matters to.
    pub duty: Duty,
    /// Checks that must not have failed: their failure would only be seen a second time.
    pub after: &'static [&'static str],
    /// Whether `supervisor run` asks it before each job.
    pub preflight: bool,
    /// Killed when it takes longer.
    pub limit: Duration,
    /// Looks, in a child process: before a job several share one, one after the other, so nothing of it may linger.
    pub look: fn(&Scene) -> Finding,
    /// All the ways in which it can go wrong.
    pub cases: &'static [Case],
}

impl Check {
    /// What most checks have in common; `look` has nothing to say yet.
    pub(crate) const NEW: Self = Self {
        id: "",
        title: "",
        how: "",
        duty: Duty::Any,
        after: &[],
        preflight: false,
        limit: Duration::from_secs(5),
        look: |_| Finding::skipped("nothing to look at"),
        cases: &[],
    };

    /// The part of the id before the dot.
    pub(crate) fn group(&self) -> &'static str {
        self.id.split_once('.').map_or(self.id, |(group, _)| group)
    }
}

/// Groups in the order of the output, with their headings.
pub(crate) const GROUPS: [(&str, &str); 11] = [
    ("kernel", "Kernel"),
    ("privileges", "Privileges"),
    ("userns", "User namespace"),
    ("idmap", "Id mapping"),
    ("filesystem", "File system"),
    ("workspace", "Workspace"),
    ("storage", "Storage"),
    ("tools", "Tools"),
    ("secrets", "Secrets"),
    ("network", "Network"),
    ("kubernetes", "Kubernetes"),
];

/// What `look` saw.
#[derive(Debug)]
pub(crate) struct Finding {
    case: Option<Case>,
    skipped: bool,
    found: String,
    value: Option<String>,
    fills: Vec<(&'static str, String)>,
}

impl Finding {
    /// All is well; `found` says what was seen.
    pub(crate) fn ok(found: impl Into<String>) -> Self {
        Self {
            case: None,
            skipped: false,
            found: found.into(),
            value: None,
            fills: Vec::new(),
        }
    }

    /// Something is wrong.
    pub(crate) fn case(case: Case, found: impl Into<String>) -> Self {
        Self {
            case: Some(case),
            ..Self::ok(found)
        }
    }

    /// There is nothing to look at, for this reason.
    pub(crate) fn skipped(reason: impl Into<String>) -> Self {
        Self {
            skipped: true,
            ..Self::ok(reason)
        }
    }

    /// The one fact that programs and later checks want.
    #[must_use]
    pub(crate) fn value(mut self, value: impl Into<String>) -> Self {
        self.value = Some(value.into());
        self
    }

    /// Whether its case is one that fails.
    pub(crate) fn is_fatal(&self) -> bool {
        self.case.is_some_and(|case| case.status == Status::Fail)
    }

    /// What was seen.
    pub(crate) fn found(&self) -> &str {
        &self.found
    }

    /// Fills `{name}` in the case's texts.
    #[must_use]
    pub(crate) fn fill(mut self, name: &'static str, text: impl Into<String>) -> Self {
        self.fills.push((name, text.into()));
        self
    }

    /// The finding as the outcome of `check`.
    pub(super) fn outcome(self, check: &Check, scene: &Scene) -> Outcome {
        let fills = || self.fills.iter().cloned().chain(scene.fills());
        let filled = |text: &str| {
            fills().fold(text.to_owned(), |text, (name, value)| {
                text.replace(&format!("{{{name}}}"), &value)
            })
        };
        let mut outcome = Outcome::of(check);
        if self.skipped {
            outcome.reason = Some(self.found);
            return outcome;
        }
        outcome.status = self.case.map_or(Status::Ok, |case| case.status);
        outcome.case = self.case.map(|case| case.name.to_owned());
        outcome.means = self.case.map(|case| filled(case.means));
        outcome.cure = self.case.map(|case| filled(case.cure));
        outcome.found = Some(self.found);
        outcome.value = self.value;
        outcome
    }
}

/// The end of one check, as JSON has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// `group.name`.
    pub id: String,
    /// The part before the dot.
    pub group: String,
    /// What would be true if it were ok.
    pub title: String,
    /// How it ended.
    pub status: Status,
    /// Which of the check's cases it is.
    pub case: Option<String>,
    /// What was seen.
    pub found: Option<String>,
    /// What that means for the user.
    pub means: Option<String>,
    /// What to do about it.
    pub cure: Option<String>,
    /// The one fact that programs want.
    pub value: Option<String>,
    /// Why it was skipped.
    pub reason: Option<String>,
    /// Where our docs explain it.
    pub docs: String,
    /// How long it took.
    pub ms: f64,
}

impl Outcome {
    /// A check that was not looked at yet.
    pub(super) fn of(check: &Check) -> Self {
        Self {
            id: check.id.to_owned(),
            group: check.group().to_owned(),
            title: check.title.to_owned(),
            status: Status::Skipped,
            case: None,
            found: None,
            means: None,
            cure: None,
            value: None,
            reason: None,
            docs: docs(check.id),
            ms: 0.0,
        }
    }

    /// The same, with the reason.
    pub(super) fn skipped(check: &Check, reason: impl Into<String>) -> Self {
        Self {
            reason: Some(reason.into()),
            ..Self::of(check)
        }
    }
}

/// GitHub's anchor of the section on a check: letters, digits and hyphens only.
pub(super) fn docs(id: &str) -> String {
    format!("docs/doctor.md#{}", id.replace('.', ""))
}
