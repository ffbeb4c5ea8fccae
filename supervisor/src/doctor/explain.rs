//! What a check looks at, and what each of its findings means: the same text for `--explain` and for docs/doctor.md.

use std::fmt::Write;

use super::check::{Check, GROUPS, Status};
use super::checks;
use super::duty::Duty;
use super::selection::Unknown;

/// The check of this id, or `all` of them, as Markdown that reads well on a terminal too.
///
/// # Errors
/// [`Unknown`] where there is none.
pub fn explain(id: &str) -> Result<String, Unknown> {
    if id == "all" {
        return Ok(all().trim_start().to_owned());
    }
    let check = checks::find(id).ok_or_else(|| Unknown(id.to_owned()))?;
    Ok(section(check))
}

/// Every check, by group.
fn all() -> String {
    let mut text = String::new();
    for (group, heading) in GROUPS {
        let sections: Vec<String> = (checks::all())
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
    let _ = writeln!(text, "*Looks:* {}", check.how);
    let _ = writeln!(text, "*Matters to:* {}.{}", whom(check.duty), needs(check));
    for case in check.cases {
        let status = match case.status {
            Status::Fail => "fails",
            _ => "warns",
        };
        let _ = write!(
            text,
            "\n**`{}`** ({status}). {}\n\n```text\n{}\n```\n",
            case.name, case.means, case.cure
        );
    }
    if check.cases.is_empty() {
        text += "\nIt tells what it found and never fails.\n";
    }
    text
}

fn whom(duty: Duty) -> &'static str {
    match duty {
        Duty::Any => "every container",
        Duty::Builds => "containers that build images",
        Duty::Job => "the container that runs the job",
        Duty::Secrets => "containers with staged secrets",
    }
}

fn needs(check: &Check) -> String {
    let preflight = if check.preflight {
        " `supervisor run` asks it before each job."
    } else {
        ""
    };
    if check.after.is_empty() {
        return preflight.to_owned();
    }
    let after: Vec<String> = check.after.iter().map(|id| format!("`{id}`")).collect();
    format!(
        " Skipped where one of {} failed.{preflight}",
        after.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/doctor.md");
    /// What stands before it is written by hand.
    const MARK: &str = "## Checks\n";

    /// `DOCTOR_PAGE=write cargo test -p supervisor the_page` writes it anew.
    #[test]
    fn the_page_says_of_every_check_what_the_doctor_says() {
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
    fn no_check_is_without_words_and_no_group_without_a_heading() {
        for check in checks::all() {
            assert!(
                GROUPS.iter().any(|(group, _)| *group == check.group()),
                "{}",
                check.id
            );
            assert!(
                !check.title.is_empty() && !check.how.is_empty(),
                "{}",
                check.id
            );
            for id in check.after {
                assert!(checks::find(id).is_some(), "{id}");
            }
            for case in check.cases {
                let name = format!("{} {}", check.id, case.name);
                assert!(matches!(case.status, Status::Fail | Status::Warn), "{name}");
                assert!(!case.means.is_empty() && !case.cure.is_empty(), "{name}");
            }
        }
    }

    #[test]
    fn the_cases_of_a_check_have_names_of_their_own() {
        for check in checks::all() {
            let mut names: Vec<_> = check.cases.iter().map(|case| case.name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), check.cases.len(), "{}", check.id);
        }
    }
}
