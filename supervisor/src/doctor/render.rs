//! The doctor's output for people: one line for each check, and *found*, *means* and *remedy* for each problem.

use std::fmt::Write;

use super::check::{CheckResult, GROUPS, Status};
use super::checks::{self, build};
use super::context::{Role, Shape};
use super::report::Report;

/// The style of the output.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style {
    /// Signs beyond ASCII.
    pub utf8: bool,
    /// ANSI colours.
    pub colour: bool,
    /// Leave out the checks that are ok or skipped.
    pub quiet: bool,
}

/// Returns the whole report as text.
#[must_use]
pub fn report(report: &Report, style: Style) -> String {
    let mut text = String::new();
    for (group, heading) in GROUPS {
        let shown: Vec<_> = report
            .checks
            .iter()
            .filter(|check| check.group == group && (!style.quiet || is_wrong(check)))
            .collect();
        if shown.is_empty() {
            continue;
        }
        let _ = writeln!(text, "{}", style.bold(heading));
        for check in shown {
            text += &check_result(check, style);
        }
    }
    if !style.quiet || !text.is_empty() {
        let _ = writeln!(text, "{}", summary(report));
    }
    text
}

fn is_wrong(check: &CheckResult) -> bool {
    matches!(check.status, Status::Fail | Status::Warn)
}

fn summary(report: &Report) -> String {
    let count = |status| report.count(status);
    let (fail, warn) = (count(Status::Fail), count(Status::Warn));
    let counts = format!(
        "{fail} failed, {warn} {}, {} ok, {} skipped",
        if warn == 1 { "warning" } else { "warnings" },
        count(Status::Ok),
        count(Status::Skipped)
    );
    let what = match (report.role, report.shape) {
        (Role::Builder, _) => "builds",
        (Role::Runner, Shape::Split) => "the job",
        (Role::Runner, Shape::Single) => "the job and its builds",
    };
    let conclusion = match (fail, warn) {
        (0, _) if !is_proven(report) => "no problem found by the checks that ran".to_owned(),
        (0, 0) => format!("{what} will work here"),
        (0, _) => format!("{what} will work here, with the limits that the warnings name"),
        _ => format!("{what} will not work here: apply the first remedy and run this again"),
    };
    format!("{counts} in {:.0} ms: {conclusion}.", report.ms)
}

/// Whether every check ran, and an image was built if this container builds.
fn is_proven(report: &Report) -> bool {
    let proof = report.checks.iter().find(|check| check.id == build::PROOF);
    let built = proof.is_some_and(|check| check.status == Status::Ok);
    report.checks.len() == checks::all().count() && (built || !report.builds)
}

/// One check: a line, and the details of a problem.
pub(super) fn check_result(check: &CheckResult, style: Style) -> String {
    let mark = style.mark(check.status);
    let detail = match check.status {
        Status::Ok => check.found.as_deref(),
        Status::Skipped => check.reason.as_deref(),
        Status::Warn | Status::Fail => None,
    };
    let detail = detail.map_or_else(String::new, |detail| style.dim(&format!(" ({detail})")));
    let mut text = format!("  {mark} {}{detail}\n", check.title);
    if !is_wrong(check) {
        return text;
    }
    let id = check
        .finding
        .as_ref()
        .map(|case| format!("{} [{case}]", check.id));
    let parts = [
        ("check", &id),
        ("found", &check.found),
        ("means", &check.means),
        ("remedy", &check.remedy),
        (
            "more",
            &Some(format!(
                "{}, or supervisor doctor --explain {}",
                check.docs, check.id
            )),
        ),
    ];
    for (name, part) in parts {
        let Some(part) = part else { continue };
        let part = if name == "means" {
            wrap(part)
        } else {
            part.clone()
        };
        let part = part.replace('\n', "\n              ");
        let _ = writeln!(text, "      {name:6}  {part}");
    }
    text
}

/// Columns of prose. Text to paste keeps its lines.
const WIDTH: usize = 100;

fn wrap(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + word.chars().count() < WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

impl Style {
    fn mark(self, status: Status) -> String {
        let (utf8, ascii, colour) = match status {
            Status::Ok => ("✓", "ok  ", "32"),
            Status::Warn => ("!", "WARN", "33"),
            Status::Fail => ("✗", "FAIL", "31"),
            Status::Skipped => ("–", "-   ", "2"),
        };
        self.paint(if self.utf8 { utf8 } else { ascii }, colour)
    }

    fn bold(self, text: &str) -> String {
        self.paint(text, "1")
    }

    fn dim(self, text: &str) -> String {
        self.paint(text, "2")
    }

    fn paint(self, text: &str, code: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Driver};
    use crate::doctor::context::Context;

    fn conclusion(driver: Driver, only: Option<&str>, built: Status) -> String {
        let mut config = Config::default();
        config.storage.driver = driver;
        let results = checks::all()
            .filter(|check| only.is_none_or(|id| check.id == id))
            .map(|check| CheckResult {
                status: if check.id == build::PROOF {
                    built
                } else {
                    Status::Ok
                },
                ..CheckResult::of(check)
            });
        let took = std::time::Duration::ZERO;
        let text = summary(&Report::new(&Context::of(&config), results.collect(), took));
        text.split_once("ms: ").unwrap().1.to_owned()
    }

    #[test]
    fn page_names_every_sign() {
        let page = include_str!("../../../docs/doctor.md");
        let signs = |utf8| {
            let style = Style {
                utf8,
                ..Style::default()
            };
            [Status::Ok, Status::Warn, Status::Fail, Status::Skipped]
                .map(|status| style.mark(status).trim().to_owned())
        };
        let [ok, warn, fail, skipped] = signs(false);
        let ascii = format!("`{ok}`, `{warn}`, `{fail}` and `{skipped}`");
        assert!(page.contains(&ascii), "{ascii}");
        let [ok, warn, fail, skipped] = signs(true);
        for sign in [
            ok + " well",
            warn + " works",
            fail + " will",
            skipped + " not",
        ] {
            assert!(page.contains(&sign), "{sign}");
        }
    }

    #[test]
    fn summary_claims_no_more_than_was_checked() {
        let nothing = "no problem found by the checks that ran.";
        let all = |driver, built| conclusion(driver, None, built);
        assert_eq!(
            all(Driver::Auto, Status::Ok),
            "the job and its builds will work here."
        );
        assert_eq!(all(Driver::Auto, Status::Skipped), nothing);
        assert_eq!(
            all(Driver::None, Status::Skipped),
            "the job will work here."
        );
        for driver in [Driver::Auto, Driver::None] {
            assert_eq!(
                conclusion(driver, Some("kernel.clock"), Status::Ok),
                nothing
            );
        }
    }
}
