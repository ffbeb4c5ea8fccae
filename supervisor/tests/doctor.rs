//! The doctor's command line, and the two forms of what it says.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::process::{Command, Output};

use serde_json::Value;

fn doctor(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let workspace = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_supervisor"));
    command
        .arg("doctor")
        .args(arguments)
        .env_remove("LC_ALL")
        .env_remove("LC_CTYPE")
        .env("LANG", "C")
        .env("SUPERVISOR_WORKSPACE__PATH", workspace.path())
        .envs(environment.iter().copied());
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What is wrong with `value` by `schema`: the keywords that our schema uses, and no others.
fn violation(value: &Value, schema: &Value, root: &Value) -> Option<String> {
    for (keyword, rule) in schema.as_object().unwrap() {
        let wrong = match keyword.as_str() {
            "$schema" | "$id" | "$defs" | "title" | "description" => None,
            "$ref" => violation(
                value,
                root.pointer(&rule.as_str().unwrap()[1..]).unwrap(),
                root,
            ),
            "const" => (value != rule).then(|| format!("{value} is not {rule}")),
            "enum" => (!rule.as_array().unwrap().contains(value))
                .then(|| format!("{value} is none of {rule}")),
            "type" => (!is_of_type(value, rule)).then(|| format!("{value} is not of type {rule}")),
            "pattern" => mismatch(value.as_str()?, rule.as_str().unwrap()),
            "required" => (rule.as_array().unwrap().iter())
                .find(|name| value.get(name.as_str().unwrap()).is_none())
                .map(|name| format!("{name} is missing")),
            "properties" => (value.as_object().unwrap().iter()).find_map(|(name, value)| {
                let Some(schema) = rule.get(name) else {
                    return Some(format!("{name} is not in the schema"));
                };
                violation(value, schema, root).map(|wrong| format!("{name}: {wrong}"))
            }),
            "items" => {
                (value.as_array().unwrap().iter()).find_map(|value| violation(value, rule, root))
            }
            other => panic!("this test does not know {other}"),
        };
        if wrong.is_some() {
            return wrong;
        }
    }
    None
}

fn is_of_type(value: &Value, types: &Value) -> bool {
    match types {
        Value::Array(types) => types.iter().any(|one| is_of_type(value, one)),
        other => match other.as_str().unwrap() {
            "string" => value.is_string(),
            "null" => value.is_null(),
            "integer" => value.is_u64(),
            "number" => value.is_number(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            other => panic!("this test does not know the type {other}"),
        },
    }
}

/// The schema's two patterns.
fn mismatch(text: &str, pattern: &str) -> Option<String> {
    let matches = match pattern {
        r"^[a-z]+\.[a-z0-9-]+$" => text.split_once('.').is_some_and(|(group, name)| {
            let letters = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase());
            letters(group)
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        }),
        r"^docs/doctor\.md#" => text.starts_with("docs/doctor.md#"),
        other => panic!("this test does not know the pattern {other}"),
    };
    (!matches).then(|| format!("{text:?} does not match {pattern}"))
}

fn schema() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/doctor.schema.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn json_is_as_the_committed_schema_says() {
    let schema = schema();
    for arguments in [
        &["--json"][..],
        &["--json", "--role", "builder", "--profile", "userns"],
        &["--json", "--shape", "split", "--storage-driver", "none"],
    ] {
        let output = doctor(arguments, &[]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(violation(&report, &schema, &schema), None, "{report:#}");
        assert_eq!(report["exit_code"], output.status.code().unwrap());
    }
}

#[test]
fn what_is_not_in_the_schema_is_noticed() {
    let schema = schema();
    let output = doctor(&["--json", "--only", "kernel"], &[]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let changed = |pointer: &str, value: Value| {
        let mut report = report.clone();
        *report.pointer_mut(pointer).unwrap() = value;
        violation(&report, &schema, &schema)
    };
    assert!(changed("/checks/0/status", "green".into()).is_some());
    assert!(changed("/checks/0/id", "kernel".into()).is_some());
    assert!(changed("/schema", "ci-cd-agents.doctor/v2".into()).is_some());
    assert!(changed("/uid", Value::Null).is_some());
}

#[test]
fn a_wrong_command_line_is_64_and_names_what_there_is() {
    for arguments in [
        &["--only", "kernal"][..],
        &["--explain", "kernel.nothing"],
        &["--wrong"],
    ] {
        let output = doctor(arguments, &[]);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
    }
    let output = doctor(&["--only", "kernal"], &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("kernel") && said.contains("idmap.map"),
        "{said}"
    );
}

#[test]
fn warnings_alone_are_no_failure() {
    let arguments = ["--only", "filesystem.home"];
    let output = doctor(&arguments, &[("HOME", "/proc/none")]);
    assert!(
        text(&output).contains("WARN") || text(&output).contains("ok"),
        "{}",
        text(&output)
    );
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_failure_says_what_was_found_what_it_means_and_the_cure() {
    let output = doctor(&["--only", "network.tcp", "--reach", "127.0.0.1:9"], &[]);
    assert_eq!(output.status.code(), Some(70));
    let said = text(&output);
    assert!(said.is_ascii(), "{said}");
    for part in [
        "FAIL",
        "found",
        "means",
        "cure",
        "network.tcp [unreachable]",
        "ECONNREFUSED",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let output = doctor(
        &["--only", "network.tcp", "--reach", "127.0.0.1:9"],
        &[("LANG", "C.UTF-8")],
    );
    assert!(text(&output).contains('✗'));
    assert!(
        !text(&output).contains('\x1b'),
        "no colours but on a terminal"
    );
}

#[test]
fn quiet_says_nothing_where_all_is_well() {
    let output = doctor(&["--quiet", "--only", "kernel.cgroups"], &[]);
    assert_eq!(text(&output), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn what_a_container_has_to_do_decides_what_is_fatal() {
    let status = |arguments: &[&str]| {
        let mut all = vec!["--json", "--only", "storage.driver,tools.runner"];
        all.extend(arguments);
        let report: Value = serde_json::from_slice(&doctor(&all, &[]).stdout).unwrap();
        let skipped = |id: &str| {
            let checks = report["checks"].as_array().unwrap();
            let check = checks.iter().find(|check| check["id"] == id).unwrap();
            check["reason"]
                .as_str()
                .unwrap_or_default()
                .contains("this container does not")
        };
        (skipped("storage.driver"), skipped("tools.runner"))
    };
    assert_eq!(
        status(&["--shape", "split", "--role", "runner"]),
        (true, false)
    );
    assert_eq!(
        status(&["--shape", "split", "--role", "builder"]),
        (false, true)
    );
    assert_eq!(status(&["--shape", "single"]), (false, false));
    assert_eq!(status(&["--storage-driver", "none"]), (true, false));
}

#[test]
fn each_check_can_be_explained() {
    let all = doctor(&["--explain", "all"], &[]);
    assert!(text(&all).contains("### idmap.map") && text(&all).contains("## Kubernetes"));
    let one = doctor(&["--explain", "idmap.subordinate"], &[]);
    assert!(text(&all).contains(text(&one).trim()));
}
