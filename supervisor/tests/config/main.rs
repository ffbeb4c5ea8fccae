//! `supervisor config` and its page in the documentation.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::process::{Command, Output};

use serde_json::Value;

fn config(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_supervisor"))
        .arg("config")
        .args(arguments)
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

#[test]
fn every_key_and_default_is_documented() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
    let page = std::fs::read_to_string(page).unwrap();
    let output = config(&["--json"], &[]);
    let rows: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert!(rows.len() > 20);
    for row in &rows {
        let key = row["key"].as_str().unwrap();
        let line = page
            .lines()
            .find(|line| line.starts_with(&format!("| `{key}` |")));
        let line = line.unwrap_or_else(|| panic!("{key} is not documented"));
        let default = match &row["value"] {
            Value::String(text) => text.clone(),
            Value::Bool(flag) => flag.to_string(),
            _ => continue,
        };
        assert!(line.contains(&default), "{key} = {default}: {line}");
    }
    let documented = page.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(documented, rows.len());
}

#[test]
fn the_origin_of_each_value_is_shown() {
    let output = config(&["--grace", "5s"], &[("SUPERVISOR_LOG__LEVEL", "debug")]);
    let said = String::from_utf8(output.stdout).unwrap();
    let line = |key: &str| said.lines().find(|line| line.starts_with(key)).unwrap();
    assert!(line("grace").ends_with("flag --grace"), "{said}");
    assert!(
        line("log.level").ends_with("environment variable SUPERVISOR_LOG__LEVEL"),
        "{said}"
    );
    assert!(line("flavor").ends_with("default"), "{said}");
}

#[test]
fn names_key_source_and_expectation_of_a_wrong_value() {
    let output = config(&[], &[("SUPERVISOR_GRACE", "soon")]);
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8(output.stderr).unwrap();
    for part in ["grace", "SUPERVISOR_GRACE", "soon", "90s"] {
        assert!(said.contains(part), "{said}");
    }
}
