//! The command line: options, help, `launcher render`, proxies, and tokens in the output.

use fake_apis::server::Fault;
use serde_json::json;

use crate::fixture::Fixture;

#[test]
fn invalid_options_are_named() {
    let fixture = Fixture::new();
    let empty = fixture.file("empty", "\n");
    let launch = crate::fixture::launch;
    for (arguments, code, part) in [
        (vec!["launch", "--flavor", "github"], 64, "--repo"),
        (vec!["launch", "--flavor", "gitlab"], 64, "github, circleci"),
        (
            vec!["launch", "--flavor", "github", "--repo", "cat"],
            64,
            "OWNER/REPO",
        ),
        (launch(&["--id", "A_B"]), 64, "lower-case"),
        (launch(&["--patch", "spec: {x: 1}"]), 78, "--patch"),
        (
            launch(&[
                "--patch",
                "spec: {template: {spec: {containers: [{image: x}]}}}",
            ]),
            78,
            "\"name\"",
        ),
        (launch(&["--namespace", "elsewhere"]), 69, "launcher render"),
        (launch(&["--context", "none"]), 78, "--context"),
        (launch(&["--app-id", "1"]), 64, "--app-key"),
        (
            launch(&["--token-file", &empty]),
            64,
            "empty: expected a GitHub token",
        ),
        (
            launch(&["--app-id", "1", "--app-key", &empty]),
            64,
            "--app-key",
        ),
        (
            vec![
                "launch",
                "--flavor",
                "circleci",
                "--resource-class-token-file",
                &empty,
            ],
            64,
            "--resource-class-token-file",
        ),
        (
            vec!["render", "--flavor", "github", "--jitconfig-file", &empty],
            64,
            "--jitconfig-file",
        ),
        (launch(&["--patch", "x"]), 78, "--patch: expected a map"),
    ] {
        let ran = fixture.run(&arguments);
        assert_eq!(ran.code, Some(code), "{arguments:?}: {ran:?}");
        assert!(ran.stderr.contains(part), "{arguments:?}: {ran:?}");
    }
    fixture.assert_nothing_left();
}

#[test]
fn help_lists_each_option_under_its_heading() {
    let fixture = Fixture::new();
    for (command, own) in [
        ("launch", "--wait"),
        ("render", "--job-only"),
        ("gc", "--delete"),
    ] {
        let help = fixture.run(&[command, "--help"]).stdout;
        let headings = help.find("The job:").or(help.find("GitHub:")).unwrap();
        assert!(help.find(own).unwrap() < headings, "{help}");
    }
}

#[test]
fn render_prints_a_launchs_objects_and_sends_no_request() {
    let fixture = Fixture::new();
    let jit = fixture.file("jit", "jit-1\n");
    let ran = fixture.run(&[
        "render",
        "--flavor",
        "github",
        "--id",
        "a",
        "--jitconfig-file",
        &jit,
    ]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for kind in [
        "Namespace",
        "ServiceAccount",
        "NetworkPolicy",
        "Secret",
        "Job",
    ] {
        assert!(ran.stdout.contains(&format!("kind: {kind}\n")), "{kind}");
    }
    assert!(
        ran.stdout
            .contains("image: registry.example/ci/runner-github:0.1.0")
    );
    let setup = fixture.run(&["render", "--flavor", "github", "--setup-only"]);
    assert!(!setup.stdout.contains("kind: Job") && setup.stdout.contains("kind: Namespace"));
    let job = fixture.run(&["render", "--flavor", "github", "--job-only", "--id", "a"]);
    assert!(
        job.stdout
            .starts_with("---\napiVersion: batch/v1\nkind: Job\n"),
        "{job:?}"
    );
    assert!(
        job.stderr
            .contains("\"runner-a\" with the key \"jitconfig\""),
        "{job:?}"
    );
    assert!(
        fixture.apis.kube_server.requests().is_empty()
            && fixture.apis.github_server.requests().is_empty()
    );
}

#[test]
fn no_token_is_printed() {
    let fixture = Fixture::new();
    fixture.apis.github_server.fail_next(
        "jitconfig",
        vec![Fault::Status(
            401,
            json!({"message": "Bad credentials"}),
            vec![],
        )],
    );
    for arguments in [
        ["--id", "a", "--output", "json"],
        ["--id", "b", "--output", "text"],
    ] {
        let ran = fixture.launch(&arguments);
        for secret in [fake_apis::github::TOKEN, "jit-1"] {
            assert!(!format!("{ran:?}").contains(secret), "{ran:?}");
        }
    }
}

#[test]
fn proxy_is_used_except_for_no_proxy() {
    let fixture = Fixture::new();
    // No test listens on port 1: it is below the range of ports that the kernel assigns.
    let unused = "127.0.0.1:1";
    let launch = |no_proxy: &str| {
        let mut command = fixture.command(&crate::fixture::launch(&["--id", "a"]));
        command
            .env("HTTPS_PROXY", format!("http://{unused}"))
            .env("NO_PROXY", no_proxy);
        crate::fixture::wait_for(command.spawn().unwrap())
    };
    let unreachable = launch("elsewhere.example");
    assert_eq!(unreachable.code, Some(75), "{unreachable:?}");
    // kube must not log the failed attempts as well.
    assert!(!unreachable.stderr.contains("ERROR"), "{unreachable:?}");
    let ran = launch("elsewhere.example,127.0.0.1");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    // Without TLS a proxy could read the token, so it is not used.
    let mut plain = fixture.command(&crate::fixture::launch(&["--id", "b"]));
    let ran = crate::fixture::wait_for(
        plain
            .env("http_proxy", format!("http://{unused}"))
            .spawn()
            .unwrap(),
    );
    assert_eq!(ran.code, Some(0), "{ran:?}");
}
