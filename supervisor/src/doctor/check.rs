//! What a check is and what it observes, as plain data. Only `run` is code.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::context::Context;
use super::duty::Duty;

/// The status of a check, or of a whole report: that of its worst check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Everything is as it should be.
    Ok,
    /// The container works, but slower, less safely or less reliably than it could.
    Warn,
    /// The container cannot do its work.
    Fail,
    /// The check did not run; its result has the reason.
    Skipped,
}

/// One way in which a check can go wrong. The observation fills in each `{name}` in the texts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Finding {
    /// Unique within the check.
    pub name: &'static str,
    /// [`Status::Warn`] or [`Status::Fail`].
    pub status: Status,
    /// The consequence for the user, in words that need no knowledge of the kernel.
    pub means: &'static str,
    /// What to do, as text that can be pasted.
    pub remedy: &'static str,
}

impl Finding {
    /// A finding that fails its check. Its texts are added with [`Self::means`] and [`Self::remedy`].
    pub(crate) const fn fails(name: &'static str) -> Self {
        Self::new(name, Status::Fail)
    }

    /// A finding that only warns.
    pub(crate) const fn warns(name: &'static str) -> Self {
        Self::new(name, Status::Warn)
    }

    const fn new(name: &'static str, status: Status) -> Self {
        Self {
            name,
            status,
            means: "",
            remedy: "",
        }
    }

    /// Returns this finding with another name.
    pub(crate) const fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    pub(crate) const fn means(self, means: &'static str) -> Self {
        Self { means, ..self }
    }

    pub(crate) const fn remedy(self, remedy: &'static str) -> Self {
        Self { remedy, ..self }
    }
}

/// One check.
#[derive(Debug)]
pub(crate) struct Check {
    /// `group.name`.
    pub id: &'static str,
    /// The statement that is true if the check is ok.
    pub title: &'static str,
    /// What the check reads or tries, for `--explain` and the docs.
    pub method: &'static str,
    pub duty: Duty,
    /// Checks that must not have failed. Otherwise this check would only report their failure again.
    pub needs: &'static [&'static str],
    /// Whether `supervisor run` runs it before each job.
    pub preflight: bool,
    /// The check is killed when it takes longer.
    pub timeout: Duration,
    /// Runs in a child process. Before a job several checks share one child, so the check must leave nothing behind in it.
    pub run: fn(&Context) -> Observation,
    /// All findings that `run` can return.
    pub findings: &'static [Finding],
}

impl Check {
    /// The values that most checks share. Its `run` is a placeholder.
    pub(crate) const DEFAULT: Self = Self {
        id: "",
        title: "",
        method: "",
        duty: Duty::Any,
        needs: &[],
        preflight: false,
        timeout: Duration::from_secs(5),
        run: |_| Observation::skipped("nothing to check"),
        findings: &[],
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

/// What `run` returns.
#[derive(Debug)]
pub(crate) struct Observation {
    finding: Option<Finding>,
    skipped: bool,
    found: String,
    value: Option<String>,
    fills: Vec<(&'static str, String)>,
}

impl Observation {
    /// Everything is well; `found` describes what was observed.
    pub(crate) fn ok(found: impl Into<String>) -> Self {
        Self {
            finding: None,
            skipped: false,
            found: found.into(),
            value: None,
            fills: Vec::new(),
        }
    }

    /// Something is wrong; `found` is the evidence.
    pub(crate) fn problem(finding: Finding, found: impl Into<String>) -> Self {
        Self {
            finding: Some(finding),
            ..Self::ok(found)
        }
    }

    /// There is nothing to check, for this reason.
    pub(crate) fn skipped(reason: impl Into<String>) -> Self {
        Self {
            skipped: true,
            ..Self::ok(reason)
        }
    }

    /// Adds the one fact for programs and for later checks.
    #[must_use]
    pub(crate) fn value(mut self, value: impl Into<String>) -> Self {
        self.value = Some(value.into());
        self
    }

    pub(crate) fn is_fatal(&self) -> bool {
        self.finding
            .is_some_and(|finding| finding.status == Status::Fail)
    }

    pub(crate) fn found(&self) -> &str {
        &self.found
    }

    /// Fills in `{name}` in the finding's texts.
    #[must_use]
    pub(crate) fn fill(mut self, name: &'static str, text: impl Into<String>) -> Self {
        self.fills.push((name, text.into()));
        self
    }

    /// Returns the observation as the result of `check`.
    pub(super) fn into_result(self, check: &Check, context: &Context) -> CheckResult {
        let fills = || self.fills.iter().cloned().chain(context.fills());
        let filled = |text: &str| {
            fills().fold(text.to_owned(), |text, (name, value)| {
                text.replace(&format!("{{{name}}}"), &value)
            })
        };
        let mut result = CheckResult::of(check);
        if self.skipped {
            result.reason = Some(self.found);
            return result;
        }
        result.status = self.finding.map_or(Status::Ok, |finding| finding.status);
        result.finding = self.finding.map(|finding| finding.name.to_owned());
        result.means = self.finding.map(|finding| filled(finding.means));
        result.remedy = self.finding.map(|finding| filled(finding.remedy));
        result.found = Some(self.found);
        result.value = self.value;
        result
    }
}

/// The result of one check, as `docs/doctor.schema.json` describes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckResult {
    /// `group.name`.
    pub id: String,
    /// The part of the id before the dot.
    pub group: String,
    /// The statement that is true if the check is ok.
    pub title: String,
    /// The status of this check.
    pub status: Status,
    /// The finding's name. The schema has its field as `case`.
    #[serde(rename = "case")]
    pub finding: Option<String>,
    /// What was observed.
    pub found: Option<String>,
    /// The consequence for the user.
    pub means: Option<String>,
    /// What to do, as text that can be pasted. The schema has its field as `cure`.
    #[serde(rename = "cure")]
    pub remedy: Option<String>,
    /// The one fact for programs.
    pub value: Option<String>,
    /// Why the check was skipped.
    pub reason: Option<String>,
    /// The id of the failed check because of which this one was skipped.
    #[serde(default)]
    pub blocked_by: Option<String>,
    /// The section of our documentation that explains the check.
    pub docs: String,
    /// Duration in milliseconds.
    pub ms: f64,
}

impl CheckResult {
    /// Returns the result of a check that has not run: skipped, with no reason yet.
    pub(super) fn of(check: &Check) -> Self {
        Self {
            id: check.id.to_owned(),
            group: check.group().to_owned(),
            title: check.title.to_owned(),
            status: Status::Skipped,
            finding: None,
            found: None,
            means: None,
            remedy: None,
            value: None,
            reason: None,
            blocked_by: None,
            docs: docs(check.id),
            ms: 0.0,
        }
    }

    pub(super) fn skipped(check: &Check, reason: impl Into<String>) -> Self {
        Self {
            reason: Some(reason.into()),
            ..Self::of(check)
        }
    }

    /// Returns the result of a check that was skipped because the check `id` failed.
    pub(super) fn blocked(check: &Check, id: &str) -> Self {
        Self {
            blocked_by: Some(id.to_owned()),
            ..Self::skipped(check, format!("needs {id}, which failed"))
        }
    }
}

/// GitHub's anchor of the section on a check: letters, digits and hyphens only.
fn docs(id: &str) -> String {
    format!("docs/doctor.md#{}", id.replace('.', ""))
}
