//! One real CI job from end to end: a workflow file, a rootless build, a push, an empty workspace.
#![allow(clippy::unwrap_used, missing_docs)]

use support::{Ended, Job, fixture, run_in_a_pod};

const TOKEN: &str = "token-0815-must-appear-nowhere";

#[test]
fn the_example_is_tested_built_pushed_and_runs() {
    let ended = Job::of(&fixture("example"))
        .secret("API_TOKEN", TOKEN)
        .run();
    assert_pushed_and_secret(&ended);
    let builder = ended.builder_report();
    assert_eq!(builder["reason"], "completed");
    assert_built(&builder);
    assert!(!builder.to_string().contains(TOKEN));
}

#[test]
fn the_same_in_one_container() {
    let ended = Job::of(&fixture("example"))
        .single()
        .secret("API_TOKEN", TOKEN)
        .run();
    assert_pushed_and_secret(&ended);
    assert_built(&ended.report());
}

fn assert_built(report: &serde_json::Value) {
    assert_eq!(report["storage_driver"], "overlay");
    assert!(
        report["wiped"]["files"].as_u64().unwrap() > 1000,
        "{report}"
    );
}

fn assert_pushed_and_secret(ended: &Ended) {
    assert_eq!(ended.code(), Some(0), "{}", ended.log);
    ended.assert_nothing_is_left();
    assert!(
        ended.log.contains("API_TOKEN is set, 30 characters long"),
        "{}",
        ended.log
    );

    let image = ended.image("example");
    assert!(ended.log.contains(&image.digest()), "{}", ended.log);
    let said = image.run(&[]);
    assert!(
        said.starts_with("Hello, world! This is revision "),
        "{said}"
    );
    assert!(!said.contains("unreleased"), "{said}");

    let report = ended.report();
    assert_eq!(report["reason"], "completed");
    assert!(!ended.log.contains(TOKEN), "{}", ended.log);
    assert!(!report.to_string().contains(TOKEN));
    assert!(!image.contains(TOKEN));
    assert!(
        image.contains("Hello, "),
        "the search itself must find what is there"
    );
}

#[test]
fn empties_the_workspace_after_a_failing_step() {
    let ended = Job::of(&fixture("failing")).run();
    // act's own code for a failed job.
    assert_eq!(ended.code(), Some(1), "{}", ended.log);
    ended.assert_nothing_is_left();
    let report = ended.report();
    assert_eq!(report["reason"], "failed");
    assert_eq!(report["failed_step"], "runner");
    assert_eq!(report["runner"]["exit_code"], 1);
    assert!(ended.log.contains("exit status 3"), "{}", ended.log);
}

#[test]
fn any_command_runs_as_the_job_with_its_own_code() {
    let ended = Job::shell("echo \"I am $(id -u)\"; exit 42").run();
    assert_eq!(ended.code(), Some(42), "{}", ended.log);
    assert!(ended.log.contains("\nI am 1000\n"), "{}", ended.log);
    ended.assert_nothing_is_left();
}

#[test]
fn the_job_has_no_rights_that_a_pod_would_not_give_it() {
    let script = r#"
        grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status
        echo "setuid: $(find / -xdev ! -type l -perm /6000 2>/dev/null | tr '\n' ' ')."
        tr '\0' ' ' </proc/1/cmdline
    "#;
    let ended = Job::shell(script).single().run();
    assert_eq!(ended.code(), Some(0), "{}", ended.log);
    let nothing = "0000000000000000";
    for line in ["CapInh", "CapPrm", "CapEff", "CapAmb"].map(|set| format!("{set}:\t{nothing}")) {
        assert!(ended.log.contains(&line), "{line}: {}", ended.log);
    }
    // CAP_SETGID (6) and CAP_SETUID (7).
    assert!(
        ended.log.contains("CapBnd:\t00000000000000c0"),
        "{}",
        ended.log
    );
    // SECCOMP_MODE_FILTER.
    assert!(ended.log.contains("Seccomp:\t2"), "{}", ended.log);
    assert!(
        ended.log.contains("/usr/local/bin/supervisor run"),
        "{}",
        ended.log
    );
    assert!(ended.log.contains("\nsetuid: .\n"), "{}", ended.log);
}

#[test]
fn the_token_is_in_no_command_line_and_in_no_file() {
    // The value reaches grep by a pipe, so that the search does not find itself.
    let script = r#"
        printf %s "$API_TOKEN" >/dev/null
        [ "${#API_TOKEN}" = 30 ] || exit 9
        for p in /proc/[0-9]*; do tr '\0' ' ' <"$p/cmdline" 2>/dev/null; echo; done >/dev/shm/cmdlines
        grep -cF -f <(printenv API_TOKEN) /dev/shm/cmdlines && exit 8
        grep -rsF -f <(printenv API_TOKEN) /workspace /run /tmp /var/tmp && exit 7
        exit 0
    "#;
    let ended = Job::shell(script)
        .secret("API_TOKEN", TOKEN)
        .arguments(&[
            "--env",
            "SUPERVISOR_SECRETS__ENVIRONMENT__API_TOKEN=API_TOKEN",
        ])
        .run();
    assert_eq!(ended.code(), Some(0), "{}", ended.log);
    assert!(!ended.log.contains(TOKEN), "{}", ended.log);
}

#[test]
fn a_workflow_finds_its_token_in_no_command_line_and_in_no_file() {
    let ended = Job::of(&fixture("thief")).secret("API_TOKEN", TOKEN).run();
    assert_eq!(ended.code(), Some(0), "{}", ended.log);
    assert!(ended.log.contains("| found nothing"), "{}", ended.log);
    assert!(!ended.log.contains(TOKEN), "{}", ended.log);
}

#[test]
fn a_wrong_setting_is_named_with_its_source() {
    let ended = Job::shell("true")
        .arguments(&["--env", "SUPERVISOR_GRACE=soon"])
        .run();
    assert_eq!(ended.code(), Some(78), "{}", ended.log);
    assert!(ended.log.contains("SUPERVISOR_GRACE"), "{}", ended.log);
    ended.assert_nothing_is_left();
}

#[test]
fn layers_never_lie_on_the_containers_own_root() {
    // Preflight finds it before the set-up and names the remedy. With preflight disabled, the storage step finds it.
    let cases: [(&[&str], i32, &str); 2] = [
        (
            &["run", "--", "true"],
            70,
            "volumeMounts: [{name: workspace",
        ),
        (
            &["run", "--no-preflight", "--", "true"],
            74,
            "mount a volume at /workspace",
        ),
    ];
    for (arguments, code, sentence) in cases {
        let output = run_in_a_pod(&[], arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(sentence), "{said}");
    }
}

#[test]
fn registry_credentials_reach_buildah_and_no_environment() {
    let credentials = r#"{"auths":{"registry.example":{"auth":"cGV0ZXI6dG9rZW4tMDgxNQ=="}}}"#;
    let script = r#"
        buildah login --get-login registry.example
        stat -c 'credentials: %a' "$REGISTRY_AUTH_FILE"
        env | grep -q cGV0ZXI && exit 9
        exit 0
    "#;
    let ended = Job::shell(script)
        .single()
        .secret(".dockerconfigjson", credentials)
        .run();
    assert_eq!(ended.code(), Some(0), "{}", ended.log);
    assert!(ended.log.contains("\npeter\n"), "{}", ended.log);
    assert!(ended.log.contains("\ncredentials: 600\n"), "{}", ended.log);
    assert!(!ended.log.contains("token-0815"), "{}", ended.log);
}
