//! Launches from the command line: the objects they create, their output, and the rollback of failed launches.

use fake_apis::kube::{Kube, PodBehavior};
use fake_apis::server::Fault;
use serde_json::json;

use crate::fixture::{Fixture, namespace};

#[test]
fn a_launch_creates_a_job_with_its_own_secret() {
    let fixture = Fixture::new();
    let ran = fixture.launch(&["--id", "a", "--labels", "self-hosted,gpu"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stdout, "runner-a  launched\n");
    let job = fixture.job("a").unwrap();
    assert_eq!(job["spec"]["suspend"], false);
    let secret = fixture.apis.kube.get("secrets", "runner-a").unwrap();
    assert_eq!(secret["immutable"], true);
    assert_eq!(
        secret["metadata"]["ownerReferences"][0]["uid"],
        job["metadata"]["uid"]
    );
    assert_eq!(secret["metadata"]["ownerReferences"][0]["kind"], "Job");
    assert_eq!(
        fixture.apis.kube.starts(),
        [("runner-a".to_owned(), "jit-1".to_owned())]
    );
    assert_eq!(
        fixture.apis.github.bodies()[0]["labels"],
        json!(["self-hosted", "gpu"])
    );
    // A launch needs three requests.
    assert_eq!(fixture.apis.kube_server.requests().len(), 3);
    // The Secret is deleted together with its Job.
    fixture.apis.kube.delete("jobs", "runner-a");
    assert!(fixture.apis.kube.get("secrets", "runner-a").is_none());
}

#[test]
fn the_command_exits_with_the_jobs_code() {
    for code in [0, 102] {
        let fixture = Fixture::new();
        fixture.apis.kube.set_pod_behavior(PodBehavior::Exits(code));
        let ran = fixture.launch(&["--id", "a", "--wait", "--output", "json"]);
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
    let fixture = Fixture::new();
    fixture.apis.kube.set_pod_behavior(PodBehavior::Exits(0));
    let ran = fixture.launch(&[
        "--id", "many", "--count", "40", "--wait", "--output", "yaml",
    ]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stdout.matches("state: ended").count(), 40);
    assert_eq!(fixture.apis.kube.starts().len(), 40);
    let all = fixture.apis.kube_server.requests().len();
    assert!(all <= 4 * 40, "{all} requests for 40 jobs");
    // One list and one watch each of Jobs, pods and events.
    let shared = fixture.apis.kube_server.count("GET ");
    assert!(shared <= 6, "{:?}", fixture.apis.kube_server.requests());
}

#[test]
fn the_same_id_makes_no_second_job() {
    let fixture = Fixture::new();
    fixture.launch(&["--id", "a"]);
    let again = fixture.launch(&["--id", "a"]);
    assert_eq!(
        (again.code, again.stdout.as_str()),
        (Some(0), "runner-a  started-before\n"),
        "{again:?}"
    );
    // A finished job is reported, not repeated.
    fixture
        .apis
        .kube
        .finish("runner-a", 103, &fake_apis::kube::report(103));
    let again = fixture.launch(&["--id", "a", "--wait"]);
    assert_eq!(again.code, Some(103), "{again:?}");
    assert_eq!(fixture.apis.github.registrations(), 1);
    assert_eq!(fixture.apis.kube.starts().len(), 1);
}

#[test]
fn another_template_for_the_same_id_is_rejected() {
    let fixture = Fixture::new();
    let kueue = [
        "--patch",
        "metadata: {labels: {kueue.x-k8s.io/queue-name: ci}}",
    ];
    fixture.launch(&[&["--id", "a"], &kueue[..]].concat());
    let other = fixture.launch(&[&["--id", "a", "--tag", "9"], &kueue[..]].concat());
    assert_eq!(other.code, Some(78), "{other:?}");
    assert!(other.stderr.contains("another template"), "{other:?}");
    assert_eq!(fixture.apis.github.runners().len(), 1);
}

#[test]
fn a_failed_launch_is_rolled_back_at_every_step() {
    for (part, of_github) in [("jitconfig", true), ("secrets", false), ("jobs", false)] {
        let fixture = Fixture::new();
        let server = if of_github {
            &fixture.apis.github_server
        } else {
            &fixture.apis.kube_server
        };
        let fault = if of_github {
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
        // The second request for the Job, its start, is the one that fails.
        let mut skip = usize::from(part == "jobs");
        let mut fault = Some(fault);
        server.set_faults(move |request| {
            if request.method == "DELETE" || !request.line().contains(part) {
                return None;
            }
            if skip > 0 {
                skip -= 1;
                return None;
            }
            fault.take()
        });
        let ran = fixture.launch(&["--id", "a"]);
        assert_eq!(
            ran.code,
            Some(if of_github { 77 } else { 69 }),
            "{part}: {ran:?}"
        );
        fixture.assert_nothing_left();
        assert!(fixture.apis.kube.starts().is_empty());
        // The same id can be launched afterwards.
        assert_eq!(fixture.launch(&["--id", "a"]).code, Some(0));
    }
}

#[test]
fn a_registration_with_a_malformed_response_is_rolled_back() {
    let fixture = Fixture::new();
    fixture
        .apis
        .github_server
        .fail_next("jitconfig", vec![Fault::Garbage("<html>")]);
    let ran = fixture.launch(&["--id", "a"]);
    assert_eq!(ran.code, Some(69), "{ran:?}");
    assert_eq!(fixture.apis.github.registrations(), 1);
    fixture.assert_nothing_left();
}

#[test]
fn a_registration_with_a_lost_response_is_repeated() {
    let fixture = Fixture::new();
    fixture.apis.kube.set_pod_behavior(PodBehavior::Exits(0));
    fixture
        .apis
        .github_server
        .fail_next("jitconfig", vec![Fault::Cut]);
    let ran = fixture.launch(&["--id", "a", "--wait"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(fixture.apis.github.registrations(), 2);
    assert!(fixture.apis.github.runners().is_empty());
}

#[test]
fn a_failed_rollback_is_reported() {
    let fixture = Fixture::new();
    fixture.apis.github_server.set_faults(|request| {
        let broken = request.method == "DELETE";
        broken.then(|| Fault::Status(403, json!({"message": "no"}), vec![]))
    });
    fixture.apis.kube_server.fail_next("secrets", vec![Fault::Status(422, json!({"kind": "Status", "status": "Failure", "code": 422, "reason": "Invalid", "message": "too long"}), vec![])]);
    let ran = fixture.launch(&["--id", "a"]);
    assert!(
        ran.stderr.contains("too long")
            && ran.stderr.contains("The rollback failed too")
            && ran.stderr.contains("removing the runner 1"),
        "{ran:?}"
    );
}

#[test]
fn a_runner_of_another_launch_is_not_removed() {
    for (status, busy) in [("online", false), ("online", true)] {
        let fixture = Fixture::new();
        fixture.apis.github.add("runner-a", status, busy);
        let ran = fixture.launch(&["--id", "a"]);
        assert_eq!(ran.code, Some(69), "{ran:?}");
        assert!(ran.stderr.contains("--prefix"), "{ran:?}");
        assert_eq!(fixture.apis.github.runners().len(), 1);
        assert!(fixture.apis.kube.list("jobs").is_empty());
    }
}

#[test]
fn circleci_jobs_use_their_own_secret_or_a_given_one() {
    let fixture = Fixture::new();
    let launch = ["launch", "--flavor", "circleci", "--id", "a"];
    let without_token = fixture.run(&launch);
    assert_eq!(without_token.code, Some(64), "{without_token:?}");
    let token = fixture.file("token", "0123abcd\n");
    let ran = fixture.run(&[&launch[..], &["--resource-class-token-file", &token]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(
        fixture.apis.kube.starts(),
        [("runner-a".to_owned(), "0123abcd".to_owned())]
    );
    let own = fixture.run(&[
        "launch", "--flavor", "circleci", "--id", "b", "--secret", "mine",
    ]);
    assert_eq!(own.code, Some(0), "{own:?}");
    let volumes = fixture.job("b").unwrap()["spec"]["template"]["spec"]["volumes"].clone();
    assert!(volumes.to_string().contains("\"secretName\":\"mine\""));
    assert_eq!(fixture.apis.kube.list("secrets").len(), 1);
    assert_eq!(fixture.apis.kube_server.count("/jobs/runner-b"), 1);
}

#[test]
fn kueue_starts_queued_jobs() {
    let fixture = Fixture::new();
    let ran = fixture.launch(&[
        "--id",
        "a",
        "--patch",
        "metadata: {labels: {kueue.x-k8s.io/queue-name: ci}}",
    ]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(fixture.job("a").unwrap()["spec"]["suspend"], true);
    assert_eq!(fixture.apis.kube_server.requests().len(), 2);
    fixture.apis.kube.update("jobs", "runner-a", |job| {
        job["spec"]["suspend"] = false.into();
    });
    assert_eq!(fixture.apis.kube.starts().len(), 1);
    assert!(
        fixture
            .apis
            .kube
            .get("pods", &Kube::pod_of("runner-a"))
            .is_some()
    );
}
