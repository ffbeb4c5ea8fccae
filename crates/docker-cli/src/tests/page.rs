//! Generates the tables of docs/docker-commands.md, and compares them with the page.

use super::*;

const PAGE: &str = include_str!("../../../../docs/docker-commands.md");

fn policy(flag: &Flag) -> String {
    match flag.policy {
        FlagPolicy::Passed => "the same".to_owned(),
        FlagPolicy::Renamed(name) => format!("`--{name}`"),
        FlagPolicy::Handled(how) => how.to_owned(),
        FlagPolicy::Implied(why) => format!("always so: {why}"),
        FlagPolicy::Ignored(why) => format!("left out, with a line on stderr: {why}"),
        FlagPolicy::NotAvailable(because, instead) => {
            format!("not available, because {because}; use {instead}")
        }
    }
}

fn flag_rows(flags: &[Flag], to: &mut String) {
    *to += "| flag | becomes |\n|---|---|\n";
    for flag in flags {
        let short = flag.short.map(|short| format!("`-{short}`, "));
        let row = policy(flag).replace('|', "\\|");
        *to += &format!(
            "| {}`--{}` | {row} |\n",
            short.unwrap_or_default(),
            flag.long
        );
    }
}

fn names(program: Program, names: &[&str]) -> String {
    let names: Vec<_> = names
        .iter()
        .map(|name| format!("`{} {name}`", program.name()))
        .collect();
    names.join(", ")
}

/// Returns all tables.
fn tables() -> String {
    let mut text = String::from("## Flags before the verb\n\n");
    flag_rows(GLOBAL, &mut text);
    for program in [Program::Docker, Program::Podman] {
        text += &format!("\n## {}\n", program.name());
        for verb in program.verbs().into_iter().flatten() {
            text += &format!(
                "\n### {}\n\n{}.\n",
                names(program, verb.names),
                sentence(verb.effect)
            );
            let flags: Vec<_> = verb.flags.iter().copied().flatten().collect();
            if !flags.is_empty() {
                text.push('\n');
                for (index, some) in verb.flags.iter().enumerate() {
                    let mut rows = String::new();
                    flag_rows(some, &mut rows);
                    let rows = if index == 0 {
                        rows
                    } else {
                        rows.lines().skip(2).map(|row| format!("{row}\n")).collect()
                    };
                    text += &rows;
                }
            }
        }
    }
    text += "\n## Not available\n\n| command | because | use |\n|---|---|---|\n";
    for unsupported in unsupported::VERBS {
        text += &format!(
            "| {} | {} | {} |\n",
            names(Program::Docker, unsupported.names),
            unsupported.because,
            unsupported.instead
        );
    }
    text
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    format!(
        "Becomes {}{}",
        first.map(|first| first.to_lowercase()).unwrap_or_default(),
        letters.as_str()
    )
}

/// `DOCKER_COMMANDS_PAGE=write cargo test -p docker-cli the_page` writes the tables anew.
#[test]
fn the_page_says_what_the_data_says() {
    let tables = tables();
    let (before, _) = PAGE.split_once("## Flags before the verb").unwrap();
    if std::env::var_os("DOCKER_COMMANDS_PAGE").is_some() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/docker-commands.md");
        std::fs::write(page, format!("{before}{tables}")).unwrap();
        return;
    }
    let (_, written) = PAGE.split_at(before.len());
    for (expected, found) in tables.lines().zip(written.lines()) {
        assert_eq!(
            expected, found,
            "DOCKER_COMMANDS_PAGE=write writes the page anew"
        );
    }
    assert_eq!(tables.lines().count(), written.lines().count());
}
