//! Explains checks: the method, and the meaning of each finding. `--explain` and docs/doctor.md have the same text.

use std::fmt::Write;

use super::check::{Check, GROUPS, Status};
use super::checks;
use super::duty::Duty;
use super::selection::UnknownName;

/// Returns the explanation of the check `id`, or of `all` checks, as Markdown that also reads well on a terminal.
///
/// # Errors
/// [`UnknownName`] if there is no such check.
pub fn explain(id: &str) -> Result<String, UnknownName> {
    if id == "all" {
        return Ok(all().trim_start().to_owned());
    }
    let check = checks::find(id).ok_or_else(|| UnknownName(id.to_owned()))?;
    Ok(section(check))
}

/// Every check, by group.
fn all() -> String {
    let mut text = String::new();
    for (group, heading) in GROUPS {
        let sections: Vec<String> = checks::all()
            .filter(|check| check.group() == group)
            .map(section)
            .collect();
        if !sections.is_empty() {
            let _ = write!(text, "\n## {heading}\n\n{}", sections.join("\n"));
        }
    }
    text
}

fn section(check: &Check) -> String {
    let mut text = format!("### {}\n\n{}.\n\n", check.id, check.title);
    let _ = writeln!(text, "*Method:* {}", check.method);
    let _ = writeln!(
        text,
        "*Applies to:* {}.{}",
        scope(check.duty),
        conditions(check)
    );
    for finding in check.findings {
        let status = match finding.status {
            Status::Fail => "fails",
            _ => "warns",
        };
        let _ = write!(
            text,
            "\n**`{}`** ({status}). {}\n\n```text\n{}\n```\n",
            finding.name, finding.means, finding.remedy
        );
    }
    if check.findings.is_empty() {
        text += "\nIt reports what it found and never fails.\n";
    }
    text
}

fn scope(duty: Duty) -> &'static str {
    match duty {
        Duty::Any => "every container",
        Duty::Builds => "containers that build images",
        Duty::Job => "the container that runs the job",
        Duty::Secrets => "containers with staged secrets",
    }
}

/// When the check runs: before each job, and only if no check that it needs has failed.
fn conditions(check: &Check) -> String {
    let preflight = if check.preflight {
        " `supervisor run` runs it before each job."
    } else {
        ""
    };
    if check.needs.is_empty() {
        return preflight.to_owned();
    }
    let needs: Vec<String> = check.needs.iter().map(|id| format!("`{id}`")).collect();
    let needs = match needs.as_slice() {
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
        [] => String::new(),
    };
    format!(" It is skipped if {needs} failed.{preflight}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/doctor.md");
    /// The text before this line is written by hand.
    const MARK: &str = "## Checks\n";

    /// `DOCTOR_PAGE=write cargo test -p supervisor --lib page_explains` writes the page anew.
    #[test]
    fn page_explains_every_check_as_the_doctor_does() {
        let page = std::fs::read_to_string(PAGE).unwrap();
        let (written, listed) = page.split_once(MARK).unwrap();
        let expected = all();
        if std::env::var_os("DOCTOR_PAGE").is_some() {
            std::fs::write(PAGE, format!("{written}{MARK}{expected}")).unwrap();
            return;
        }
        assert_eq!(listed, expected, "DOCTOR_PAGE=write writes it anew");
    }

    #[test]
    fn every_check_has_texts_and_every_group_a_heading() {
        for check in checks::all() {
            assert!(
                GROUPS.iter().any(|(group, _)| *group == check.group()),
                "{}",
                check.id
            );
            assert!(
                !check.title.is_empty() && !check.method.is_empty(),
                "{}",
                check.id
            );
            for id in check.needs {
                assert!(checks::find(id).is_some(), "{id}");
            }
            for finding in check.findings {
                let name = format!("{} {}", check.id, finding.name);
                assert!(
                    matches!(finding.status, Status::Fail | Status::Warn),
                    "{name}"
                );
                assert!(
                    !finding.means.is_empty() && !finding.remedy.is_empty(),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn findings_of_a_check_have_unique_names() {
        for check in checks::all() {
            let mut names: Vec<_> = check.findings.iter().map(|finding| finding.name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), check.findings.len(), "{}", check.id);
        }
    }
}
