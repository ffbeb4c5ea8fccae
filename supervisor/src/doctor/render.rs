//! What the doctor says to people: a line a check by group, and for what is wrong *found*, *means* and *cure*.

use std::fmt::Write;

use super::check::{GROUPS, Outcome, Status};
use super::checks::{self, build};
use super::report::Report;
use super::scene::{Role, Shape};

/// How it may look.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style {
    /// Marks beyond ASCII.
    pub utf8: bool,
    /// ANSI colours.
    pub colour: bool,
    /// Nothing about what is well or was skipped.
    pub quiet: bool,
}

/// The whole report.
#[must_use]
pub fn report(report: &Report, style: Style) -> String {
    let mut text = String::new();
    for (group, heading) in GROUPS {
        let shown: Vec<_> = (report.checks.iter())
            .filter(|check| check.group == group && (!style.quiet || is_wrong(check)))
            .collect();
        if shown.is_empty() {
            continue;
        }
        let _ = writeln!(text, "{}", style.bold(heading));
        for check in shown {
            text += &outcome(check, style);
        }
    }
    if !style.quiet || !text.is_empty() {
        let _ = writeln!(text, "{}", summary(report));
    }
    text
}

fn is_wrong(check: &Outcome) -> bool {
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
    let verdict = match (fail, warn) {
        (0, _) if !is_proven(report) => "nothing wrong in what was looked at".to_owned(),
        (0, 0) => format!("{what} will work here"),
        (0, _) => format!("{what} will work here, within what the warnings say"),
        _ => format!("{what} will not work here: apply the first cure and run this again"),
    };
    format!("{counts} in {:.0} ms: {verdict}.", report.ms)
}

/// Whether everything was looked at that what this container has to do depends on: an image was built, where it builds.
fn is_proven(report: &Report) -> bool {
    let proof = report.checks.iter().find(|check| check.id == build::PROOF);
    let built = proof.is_some_and(|check| check.status == Status::Ok);
    report.checks.len() == checks::all().count() && (built || !report.builds)
}

/// One check.
#[must_use]
pub fn outcome(check: &Outcome, style: Style) -> String {
    let mark = style.mark(check.status);
    let told = match check.status {
        Status::Ok => check.found.as_deref(),
        Status::Skipped => check.reason.as_deref(),
        Status::Warn | Status::Fail => None,
    };
    let told = told.map_or_else(String::new, |told| style.dim(&format!(" ({told})")));
    let mut text = format!("  {mark} {}{told}\n", check.title);
    if !is_wrong(check) {
        return text;
    }
    let id = check
        .case
        .as_ref()
        .map(|case| format!("{} [{case}]", check.id));
    let parts = [
        ("check", &id),
        ("found", &check.found),
        ("means", &check.means),
        ("cure", &check.cure),
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
        let part = part.replace('\n', "\n             ");
        let _ = writeln!(text, "      {name:5}  {part}");
    }
    text
}

/// At most so many columns, for prose only: what is to be pasted keeps its lines.
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
    use crate::doctor::scene::Scene;

    fn verdict(driver: Driver, only: Option<&str>, built: Status) -> String {
        let mut config = Config::default();
        config.storage.driver = driver;
        let outcomes = checks::all()
            .filter(|check| only.is_none_or(|id| check.id == id))
            .map(|check| Outcome {
                status: if check.id == build::PROOF {
                    built
                } else {
                    Status::Ok
                },
                ..Outcome::of(check)
            });
        let took = std::time::Duration::ZERO;
        let text = summary(&Report::new(&Scene::of(&config), outcomes.collect(), took));
        text.split_once("ms: ").unwrap().1.to_owned()
    }

    #[test]
    fn the_page_tells_the_signs() {
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
    fn no_more_is_said_than_was_looked_at() {
        let nothing = "nothing wrong in what was looked at.";
        let all = |driver, built| verdict(driver, None, built);
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
            assert_eq!(verdict(driver, Some("kernel.clock"), Status::Ok), nothing);
        }
    }
}
