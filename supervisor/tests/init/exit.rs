//! The exit code is the runner's, and the report names its source.

use test_support::Fixture;

use crate::SUPERVISOR;

#[test]
fn the_code_is_the_runners() {
    for code in [0, 1, 3, 70, 75, 78, 127, 128, 255] {
        let ended = Fixture::new(SUPERVISOR).shell(&format!("exit {code}"));
        assert_eq!(ended.code(), code, "{}", ended.stderr);
        let report = ended.report();
        assert_eq!(report["runner"]["exit_code"], code);
        assert_eq!(report["exit_code"], code);
        let reason = if code == 0 { "completed" } else { "failed" };
        assert_eq!(report["reason"], reason);
    }
}

#[test]
fn a_signal_is_128_and_its_number() {
    for (name, number) in [
        ("KILL", 9),
        ("TERM", 15),
        ("SEGV", 11),
        ("PIPE", 13),
        ("RTMIN", 34),
    ] {
        let ended = Fixture::new(SUPERVISOR).shell(&format!("kill -{name} $$"));
        assert_eq!(ended.code(), 128 + number, "{name}");
        let report = ended.report();
        assert_eq!(report["runner"]["signal"], number);
        assert_eq!(report["runner"]["exit_code"], serde_json::Value::Null);
    }
}

#[test]
fn a_runner_that_is_not_there_is_127() {
    let ended = Fixture::new(SUPERVISOR).run(&["no-such-program"]);
    assert_eq!(ended.code(), 127);
    let report = ended.report();
    assert_eq!(report["reason"], "cannot_start");
    assert_eq!(report["runner"], serde_json::Value::Null);
    let message = report["message"].as_str().unwrap();
    assert!(message.contains("no-such-program"), "{message}");
    ended.assert_workspace_is_empty();
}

#[test]
fn a_runner_that_cannot_be_executed_is_126() {
    let ended = Fixture::new(SUPERVISOR).run(&["/etc/passwd"]);
    assert_eq!(ended.code(), 126);
    let message = ended.report()["message"].to_string();
    assert!(
        message.contains("/etc/passwd") && message.contains("ermission"),
        "{message}"
    );
}

#[test]
fn names_the_missing_interpreter_of_a_script() {
    let fixture = Fixture::new(SUPERVISOR);
    let script = fixture.path("script");
    std::fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, mode).unwrap();
    let ended = fixture.run(&[script.to_str().unwrap()]);
    assert_eq!(ended.code(), 127);
    let message = ended.report()["message"].to_string();
    assert!(message.contains("its interpreter"), "{message}");
}

#[test]
fn a_configuration_that_is_wrong_is_78_and_starts_nothing() {
    let fixture = Fixture::new(SUPERVISOR).env("SUPERVISOR_GRACE", "soon");
    fixture.owned_directory("out");
    let file = fixture.path("out/must-not-be-there");
    let ended = fixture.run(&["touch", file.to_str().unwrap()]);
    assert_eq!(ended.code(), 78);
    let report = ended.report();
    assert_eq!(report["reason"], "config");
    let message = report["message"].as_str().unwrap();
    assert!(
        message.contains("SUPERVISOR_GRACE") && message.contains("grace"),
        "{message}"
    );
    assert!(!file.exists());
}
