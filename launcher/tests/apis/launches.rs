//! Launches from the command line: what is there afterwards, what is printed, and that nothing half-done stays.

use serde_json::json;

use crate::fakes::kube::{Course, Kube};
use crate::fakes::server::Fault;
use crate::fixture::{Lab, namespace};

#[test]
fn a_launch_is_a_job_with_a_secret_of_its_own() {
    let lab = Lab::new();
    let ran = lab.launch(&["--id", "a", "--labels", "self-hosted,gpu"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stdout, "runner-a  launched\n");
    let job = lab.job("a").unwrap();
    assert_eq!(job["spec"]["suspend"], false);
    let secret = lab.world.kube.get("secrets", "runner-a").unwrap();
    assert_eq!(secret["immutable"], true);
    assert_eq!(
        secret["metadata"]["ownerReferences"][0]["uid"],
        job["metadata"]["uid"]
    );
    assert_eq!(secret["metadata"]["ownerReferences"][0]["kind"], "Job");
    assert_eq!(
        lab.world.kube.starts(),
        [("runner-a".to_owned(), "jit-1".to_owned())]
    );
    assert_eq!(
        lab.world.github.bodies()[0]["labels"],
        json!(["self-hosted", "gpu"])
    );
    // Three requests, and none that nobody waits for.
    assert_eq!(lab.world.kube_server.requests().len(), 3);
    // The Secret goes with its Job.
    lab.world.kube.delete("jobs", "runner-a");
    assert!(lab.world.kube.get("secrets", "runner-a").is_none());
}

#[test]
fn the_command_ends_as_the_job_does() {
    for code in [0, 102] {
        let lab = Lab::new();
        lab.world.kube.course(Course::Ends(code));
        let ran = lab.launch(&["--id", "a", "--wait", "--output", "json"]);
        assert_eq!(ran.code, Some(code.into()), "{ran:?}");
        let printed = &ran.objects()[0];
        assert_eq!(printed["state"], "ended");
        assert_eq!(printed["outcome"]["exit_code"], code);
        assert_eq!(printed["outcome"]["report"]["storage_driver"], "overlay");
        assert_eq!(printed["namespace"], namespace());
    }
}

#[test]
fn many_jobs_share_one_watch() {
    let lab = Lab::new();
    lab.world.kube.course(Course::Ends(0));
    let ran = lab.launch(&[
        "--id", "many", "--count", "40", "--wait", "--output", "yaml",
    ]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stdout.matches("state: ended").count(), 40);
    assert_eq!(lab.world.kube.starts().len(), 40);
    let all = lab.world.kube_server.requests().len();
    assert!(all <= 4 * 40, "{all} requests for 40 jobs");
    // Jobs, pods, events: a list and a watch each.
    let shared = lab.world.kube_server.count("GET ");
    assert!(shared <= 6, "{:?}", lab.world.kube_server.requests());
}

#[test]
fn the_same_id_makes_no_second_job() {
    let lab = Lab::new();
    lab.launch(&["--id", "a"]);
    let again = lab.launch(&["--id", "a"]);
    assert_eq!(
        (again.code, again.stdout.as_str()),
        (Some(0), "runner-a  started-before\n"),
        "{again:?}"
    );
    // A finished one is reported, not repeated.
    lab.world
        .kube
        .finish("runner-a", 103, &crate::fakes::kube::report(103));
    let again = lab.launch(&["--id", "a", "--wait"]);
    assert_eq!(again.code, Some(103), "{again:?}");
    assert_eq!(lab.world.github.minted(), 1);
    assert_eq!(lab.world.kube.starts().len(), 1);
}

#[test]
fn another_template_under_the_same_id_is_refused_and_told() {
    let lab = Lab::new();
    let kueue = [
        "--patch",
        "metadata: {labels: {kueue.x-k8s.io/queue-name: ci}}",
    ];
    lab.launch(&[&["--id", "a"], &kueue[..]].concat());
    let other = lab.launch(&[&["--id", "a", "--tag", "9"], &kueue[..]].concat());
    assert_eq!(other.code, Some(78), "{other:?}");
    assert!(other.stderr.contains("another template"), "{other:?}");
    assert_eq!(lab.world.github.runners().len(), 1);
}

#[test]
fn whatever_fails_nothing_stays() {
    // At each request of a launch, in turn.
    for (part, of_github) in [("jitconfig", true), ("secrets", false), ("jobs", false)] {
        let lab = Lab::new();
        let server = if of_github {
            &lab.world.github_server
        } else {
            &lab.world.kube_server
        };
        let refused = if of_github {
            Fault::Status(
                403,
                json!({"message": "Resource not accessible by integration"}),
                vec![],
            )
        } else {
            let message = "admission webhook \"x\" denied the request: no";
            Fault::Status(
                403,
                json!({"kind": "Status", "status": "Failure", "code": 403, "reason": "Forbidden", "message": message}),
                vec![],
            )
        };
        // Of the two for the Job, its start is refused.
        let mut skip = usize::from(part == "jobs");
        let mut fault = Some(refused);
        server.faults(move |request| {
            if request.method == "DELETE" || !request.line().contains(part) {
                return None;
            }
            if skip > 0 {
                skip -= 1;
                return None;
            }
            fault.take()
        });
        let ran = lab.launch(&["--id", "a"]);
        assert_eq!(
            ran.code,
            Some(if of_github { 77 } else { 69 }),
            "{part}: {ran:?}"
        );
        lab.assert_nothing_left();
        assert!(lab.world.kube.starts().is_empty());
        // And the same id can be had afterwards.
        assert_eq!(lab.launch(&["--id", "a"]).code, Some(0));
    }
}

#[test]
fn a_registration_whose_answer_is_useless_is_taken_back() {
    let lab = Lab::new();
    lab.world
        .github_server
        .fail("jitconfig", vec![Fault::Garbage("<html>")]);
    let ran = lab.launch(&["--id", "a"]);
    assert_eq!(ran.code, Some(69), "{ran:?}");
    assert_eq!(lab.world.github.minted(), 1);
    lab.assert_nothing_left();
}

#[test]
fn a_registration_whose_answer_was_lost_is_made_anew() {
    let lab = Lab::new();
    lab.world.kube.course(Course::Ends(0));
    lab.world.github_server.fail("jitconfig", vec![Fault::Cut]);
    let ran = lab.launch(&["--id", "a", "--wait"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(lab.world.github.minted(), 2);
    assert!(lab.world.github.runners().is_empty());
}

#[test]
fn what_cannot_be_taken_back_is_named() {
    let lab = Lab::new();
    lab.world.github_server.faults(|request| {
        let broken = request.method == "DELETE";
        broken.then(|| Fault::Status(403, json!({"message": "no"}), vec![]))
    });
    lab.world.kube_server.fail("secrets", vec![Fault::Status(422, json!({"kind": "Status", "status": "Failure", "code": 422, "reason": "Invalid", "message": "too long"}), vec![])]);
    let ran = lab.launch(&["--id", "a"]);
    assert!(
        ran.stderr.contains("too long")
            && ran.stderr.contains("stays behind")
            && ran.stderr.contains("removing the runner 1"),
        "{ran:?}"
    );
}

#[test]
fn somebody_elses_runner_is_left_alone() {
    for (status, busy) in [("online", false), ("online", true)] {
        let lab = Lab::new();
        lab.world.github.add("runner-a", status, busy);
        let ran = lab.launch(&["--id", "a"]);
        assert_eq!(ran.code, Some(69), "{ran:?}");
        assert!(ran.stderr.contains("--prefix"), "{ran:?}");
        assert_eq!(lab.world.github.runners().len(), 1);
        assert!(lab.world.kube.list("jobs").is_empty());
    }
}

#[test]
fn circleci_takes_its_token_from_a_secret_for_each_job_or_from_ones_own() {
    let lab = Lab::new();
    let launch = ["launch", "--flavor", "circleci", "--id", "a"];
    let none = lab.run(&launch);
    assert_eq!(none.code, Some(64), "{none:?}");
    let token = lab.file("token", "0123abcd\n");
    let ran = lab.run(&[&launch[..], &["--resource-class-token-file", &token]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(
        lab.world.kube.starts(),
        [("runner-a".to_owned(), "0123abcd".to_owned())]
    );
    let own = lab.run(&[
        "launch", "--flavor", "circleci", "--id", "b", "--secret", "mine",
    ]);
    assert_eq!(own.code, Some(0), "{own:?}");
    let volumes = lab.job("b").unwrap()["spec"]["template"]["spec"]["volumes"].clone();
    assert!(volumes.to_string().contains("\"secretName\":\"mine\""));
    assert_eq!(lab.world.kube.list("secrets").len(), 1);
    assert_eq!(lab.world.kube_server.count("/jobs/runner-b"), 1);
}

#[test]
fn kueue_starts_its_own_jobs() {
    let lab = Lab::new();
    let ran = lab.launch(&[
        "--id",
        "a",
        "--patch",
        "metadata: {labels: {kueue.x-k8s.io/queue-name: ci}}",
    ]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(lab.job("a").unwrap()["spec"]["suspend"], true);
    assert_eq!(lab.world.kube_server.requests().len(), 2);
    lab.world.kube.update("jobs", "runner-a", |job| {
        job["spec"]["suspend"] = false.into();
    });
    assert_eq!(lab.world.kube.starts().len(), 1);
    assert!(
        lab.world
            .kube
            .get("pods", &Kube::pod_of("runner-a"))
            .is_some()
    );
}

#[test]
fn mistakes_on_the_command_line_are_told() {
    let lab = Lab::new();
    let empty = lab.file("empty", "\n");
    for (arguments, code, said) in [
        (vec!["launch", "--flavor", "github"], 64, "--repo"),
        (vec!["launch", "--flavor", "gitlab"], 64, "github, circleci"),
        (
            vec!["launch", "--flavor", "github", "--repo", "cat"],
            64,
            "OWNER/REPO",
        ),
        (
            vec![
                "launch", "--flavor", "github", "--repo", "octo/cat", "--id", "A_B",
            ],
            64,
            "lower-case",
        ),
        (
            vec![
                "launch",
                "--flavor",
                "github",
                "--repo",
                "octo/cat",
                "--patch",
                "spec: {x: 1}",
            ],
            78,
            "--patch",
        ),
        (
            vec![
                "launch",
                "--flavor",
                "github",
                "--repo",
                "octo/cat",
                "--patch",
                "spec: {template: {spec: {containers: [{image: x}]}}}",
            ],
            78,
            "\"name\"",
        ),
        (
            vec![
                "launch",
                "--flavor",
                "github",
                "--repo",
                "octo/cat",
                "--namespace",
                "elsewhere",
            ],
            69,
            "launcher render",
        ),
        (
            vec![
                "launch",
                "--flavor",
                "github",
                "--repo",
                "octo/cat",
                "--context",
                "none",
            ],
            78,
            "--context",
        ),
        (
            vec![
                "launch", "--flavor", "github", "--repo", "octo/cat", "--app-id", "1",
            ],
            64,
            "--app-key",
        ),
        (
            crate::fixture::launch(&["--token-file", &empty]),
            64,
            "empty: the GitHub token",
        ),
        (
            crate::fixture::launch(&["--app-id", "1", "--app-key", &empty]),
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
        (
            crate::fixture::launch(&["--patch", "x"]),
            78,
            "--patch: the patch is not a map",
        ),
    ] {
        let ran = lab.run(&arguments);
        assert_eq!(ran.code, Some(code), "{arguments:?}: {ran:?}");
        assert!(ran.stderr.contains(said), "{arguments:?}: {ran:?}");
    }
    lab.assert_nothing_left();
}

#[test]
fn help_has_each_option_under_its_heading() {
    let lab = Lab::new();
    for (command, own) in [
        ("launch", "--wait"),
        ("render", "--job-only"),
        ("gc", "--delete"),
    ] {
        let help = lab.run(&[command, "--help"]).stdout;
        let of_others = help.find("The job:").or(help.find("GitHub:")).unwrap();
        assert!(help.find(own).unwrap() < of_others, "{help}");
    }
}

#[test]
fn render_prints_what_a_launch_makes_and_touches_nothing() {
    let lab = Lab::new();
    let jit = lab.file("jit", "jit-1\n");
    let ran = lab.run(&[
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
    let setup = lab.run(&["render", "--flavor", "github", "--setup-only"]);
    assert!(!setup.stdout.contains("kind: Job") && setup.stdout.contains("kind: Namespace"));
    let job = lab.run(&["render", "--flavor", "github", "--job-only", "--id", "a"]);
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
        lab.world.kube_server.requests().is_empty()
            && lab.world.github_server.requests().is_empty()
    );
}

#[test]
fn no_token_is_ever_printed() {
    let lab = Lab::new();
    lab.world.github_server.fail(
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
        let ran = lab.launch(&arguments);
        for secret in [crate::fakes::github::TOKEN, "jit-1"] {
            assert!(!format!("{ran:?}").contains(secret), "{ran:?}");
        }
    }
}

#[test]
fn a_proxy_is_used_but_not_for_what_no_proxy_names() {
    let lab = Lab::new();
    // Nobody listens on this one.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let launch = |no_proxy: &str| {
        let mut command = lab.command(&crate::fixture::launch(&["--id", "a"]));
        command
            .env("HTTPS_PROXY", format!("http://{nobody}"))
            .env("NO_PROXY", no_proxy);
        crate::fixture::ran(command.spawn().unwrap())
    };
    let refused = launch("elsewhere.example");
    assert_eq!(refused.code, Some(75), "{refused:?}");
    // Each attempt is told once, and not by kube too.
    assert!(!refused.stderr.contains("ERROR"), "{refused:?}");
    let ran = launch("elsewhere.example,127.0.0.1");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    // Without TLS a proxy would read the token: there is no proxy then.
    let mut plain = lab.command(&crate::fixture::launch(&["--id", "b"]));
    let ran = crate::fixture::ran(
        plain
            .env("http_proxy", format!("http://{nobody}"))
            .spawn()
            .unwrap(),
    );
    assert_eq!(ran.code, Some(0), "{ran:?}");
}
