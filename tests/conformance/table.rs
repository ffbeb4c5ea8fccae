//! The rows of `differences.txt`: what differs from Docker, and why. docs/docker-commands.md has them as a table.

use std::collections::{BTreeMap, BTreeSet};

use crate::written;

const KEYS: [&str; 5] = ["subject", "docker", "here", "why", "seen"];
const HEADER: &str = "| in a Dockerfile | Docker | here | why | seen in |\n|---|---|---|---|---|\n";
const PAGE: &str = "docs/docker-commands.md";

/// Reads the rows, by their names.
fn rows(text: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut rows: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let mut name = String::new();
    for line in text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        if let Some(row) = line.strip_prefix("==== ") {
            row.clone_into(&mut name);
            continue;
        }
        let (key, value) = line
            .split_once(": ")
            .unwrap_or_else(|| panic!("{line:?} is not `KEY: TEXT`"));
        assert!(KEYS.contains(&key), "{name}: {key} is not one of {KEYS:?}");
        let row = rows.entry(name.clone()).or_default();
        let before = row.insert(key.to_owned(), value.to_owned());
        assert_eq!(before, None, "{name}: {key} is there twice");
    }
    rows
}

fn read() -> BTreeMap<String, BTreeMap<String, String>> {
    rows(
        &std::fs::read_to_string(support::root().join("tests/conformance/differences.txt"))
            .unwrap(),
    )
}

fn table() -> String {
    let rows = read();
    let mut lines: Vec<_> = rows
        .iter()
        .map(|(name, row)| {
            let cell = |key: &str| {
                row.get(key)
                    .unwrap_or_else(|| panic!("{name}: {key} is missing"))
                    .replace('|', "\\|")
            };
            format!("| {} |\n", KEYS.map(cell).join(" | "))
        })
        .collect();
    lines.sort();
    format!("{HEADER}{}", lines.concat())
}

/// `DOCKER_COMMANDS_PAGE=write` with this test writes the table anew.
#[test]
fn the_page_has_the_table_of_differences() {
    let path = support::root().join(PAGE);
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page
        .split_once(HEADER)
        .unwrap_or_else(|| panic!("{PAGE} has no table of differences"));
    let end: usize = rest
        .split_inclusive('\n')
        .take_while(|line| line.starts_with('|'))
        .map(str::len)
        .sum();
    let expected = format!("{before}{}{}", table(), &rest[end..]);
    if std::env::var_os("DOCKER_COMMANDS_PAGE").is_some() {
        std::fs::write(path, expected).unwrap();
        return;
    }
    assert!(
        page == expected,
        "{PAGE} differs from differences.txt: DOCKER_COMMANDS_PAGE=write writes its table anew"
    );
}

#[test]
fn each_row_has_a_case_and_each_case_its_row() {
    let rows: BTreeSet<String> = read().into_keys().collect();
    let cases: BTreeSet<String> = written()
        .into_iter()
        .filter_map(|case| case.differs)
        .collect();
    assert_eq!(rows, cases);
}
