//! The doctor's output for people and for programs, and its exit code.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use support::root;

use crate::state::good;

/// Validates against the committed schema with jsonschema, which the tools for the manifests bring.
fn validate(report: &Value) -> Result<(), String> {
    let tools = std::env::var("KUBERNETES_VALIDATE")
        .expect("KUBERNETES_VALIDATE is not set: run these tests with scripts/test.sh");
    let script = "import json, sys, jsonschema\n\
        schema = json.load(open(sys.argv[1]))\n\
        jsonschema.Draft202012Validator.check_schema(schema)\n\
        jsonschema.Draft202012Validator(schema).validate(json.load(sys.stdin))";
    let mut python = Command::new(Path::new(&tools).with_file_name("python"))
        .args(["-c", script])
        .arg(root().join("docs/doctor.schema.json"))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = python.stdin.take().unwrap();
    stdin.write_all(report.to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = python.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        Ok(())
    } else {
        Err(text)
    }
}

#[test]
fn schema_rejects_wrong_values() {
    let report = good().doctor(&["--only", "kernel"]).report;
    let changed = |pointer: &str, value: Value| {
        let mut report = report.clone();
        *report.pointer_mut(pointer).unwrap() = value;
        validate(&report)
    };
    assert_eq!(changed("/checks/0/status", "ok".into()), Ok(()));
    for (pointer, value) in [
        ("/checks/0/status", Value::from("green")),
        ("/checks/0/status", "fail".into()),
        ("/checks/0/id", "kernel".into()),
        ("/schema", "ci-cd-agents.doctor/v2".into()),
        ("/uid", Value::Null),
    ] {
        assert!(changed(pointer, value).is_err(), "{pointer}");
    }
}

#[test]
fn json_matches_its_schema_in_every_shape() {
    for arguments in [
        &[][..],
        &["--shape", "split"],
        &["--role", "builder", "--profile", "userns"],
        &["--only", "kernel"],
    ] {
        let result = good().doctor(arguments);
        validate(&result.report).unwrap();
        assert_eq!(result.report["schema"], "ci-cd-agents.doctor/v1");
    }
    let broken = good().default_seccomp().doctor(&[]);
    validate(&broken.report).unwrap();
    assert_eq!(broken.report["status"], "fail");
    assert_eq!(broken.report["exit_code"], 70);
}

#[test]
fn fatal_findings_depend_on_the_containers_duty() {
    let state = || {
        good()
            .default_seccomp()
            .capabilities(&["--cap-drop=all"])
            .flags(&["--security-opt=no-new-privileges"])
    };
    assert_eq!(state().doctor(&["--shape", "split"]).code, Some(0));
    assert_eq!(
        state()
            .doctor(&["--shape", "split", "--role", "builder"])
            .code,
        Some(70)
    );
    assert_eq!(state().doctor(&["--shape", "single"]).code, Some(70));
    let builder = good()
        .setup("rm /usr/bin/git /usr/local/bin/act")
        .doctor(&["--role", "builder", "--only", "tools"]);
    builder.assert("tools.git", "skipped", "");
}

#[test]
fn text_has_found_means_and_remedy() {
    let output = good()
        .flags(&["--security-opt=no-new-privileges"])
        .run(&["doctor"]);
    assert_eq!(output.status.code(), Some(70));
    let text = String::from_utf8(output.stdout).unwrap();
    for part in [
        "Privileges\n",
        "  ✗ Programs may gain",
        "      found   no_new_privs is set",
        "      means   newuidmap",
        "      remedy  In the pod spec",
        "allowPrivilegeEscalation: true",
        "  – An image can be built",
        "skipped in ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains('\x1b'), "{text}");

    let quiet = good().run(&["doctor", "--quiet", "--only", "kernel"]);
    assert!(
        quiet.stdout.is_empty(),
        "{}",
        String::from_utf8_lossy(&quiet.stdout)
    );

    let ascii = good().run(&[
        "doctor",
        "--only",
        "kernel.open-files",
        "--explain",
        "kernel.open-files",
    ]);
    assert_eq!(ascii.status.code(), Some(64));
    let plain = good()
        .flags(&["--env=LANG=C"])
        .run(&["doctor", "--only", "kernel"]);
    assert!(
        plain.stdout.is_ascii(),
        "{}",
        String::from_utf8_lossy(&plain.stdout)
    );
}

#[test]
fn colours_appear_only_on_terminals_that_support_them() {
    let terminal = |flags: &[&str]| {
        good()
            .flags(&["--tty"])
            .flags(flags)
            .run(&["doctor", "--only", "kernel"])
    };
    let has_colour = |flags: &[&str]| terminal(flags).stdout.contains(&b'\x1b');
    assert!(has_colour(&["--env=TERM=xterm"]));
    assert!(!has_colour(&["--env=TERM=xterm", "--env=NO_COLOR=1"]));
    assert!(!has_colour(&["--env=TERM=dumb"]));
}

#[test]
fn usage_error_is_64_and_checks_are_explained() {
    assert_eq!(
        good().run(&["doctor", "--only", "nonsense"]).status.code(),
        Some(64)
    );
    assert_eq!(
        good()
            .run(&["doctor", "--explain", "nonsense"])
            .status
            .code(),
        Some(64)
    );
    assert_eq!(
        good().run(&["doctor", "--shape", "round"]).status.code(),
        Some(64)
    );
    let output = good().run(&["doctor", "--explain", "idmap.helpers"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("setcap cap_setuid+ep") && text.contains("`nosuid`"),
        "{text}"
    );
}

#[test]
fn run_prints_the_same_remedy_and_ends_with_70() {
    let state = good().flags(&["--security-opt=no-new-privileges"]);
    let output = state.run(&[
        "run",
        "--flavor",
        "exec",
        "--log-format",
        "human",
        "--",
        "true",
    ]);
    assert_eq!(output.status.code(), Some(70));
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    let check = state.doctor(&["--only", "privileges.no-new-privs"]);
    let remedy = check.check("privileges.no-new-privs")["cure"]
        .as_str()
        .unwrap()
        .to_owned();
    for line in remedy.lines() {
        assert!(log.contains(line.trim()), "{line}: {log}");
    }
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(
        report.contains("\"reason\":\"preflight\"") && report.contains("privileges.no-new-privs"),
        "{report}"
    );
    // If this container does not build, no check of builds runs.
    let state = state.default_seccomp().capabilities(&["--cap-drop=all"]);
    let output = state.run(&[
        "run",
        "--flavor",
        "exec",
        "--storage-driver",
        "none",
        "--",
        "true",
    ]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
