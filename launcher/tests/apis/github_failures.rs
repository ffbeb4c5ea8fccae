//! The GitHub client: rejections, redirects, rate limits, and lost or malformed responses.

use std::time::{Duration, Instant};

use fake_apis::FakeApis;
use fake_apis::server::Fault;
use launcher::tokens::github::{Github, GithubError, GithubErrorKind, RunnerSettings, Timeouts};
use serde_json::json;

use crate::github::{block_on, repository, simple, token};

fn failure(apis: &FakeApis) -> GithubError {
    block_on(simple(apis).register_runner("a")).unwrap_err()
}

#[test]
fn every_rejection_is_returned_at_once_with_its_remedy() {
    for (status, message, kind, remedy) in [
        (
            401,
            "Bad credentials",
            GithubErrorKind::Unauthorized,
            "make a new one",
        ),
        (
            403,
            "Resource not accessible by personal access token",
            GithubErrorKind::Forbidden,
            "Administration: write",
        ),
        (404, "Not Found", GithubErrorKind::NotFound, "octo/cat"),
        (409, "Already exists", GithubErrorKind::Exists, "--id"),
        (
            422,
            "Invalid request.",
            GithubErrorKind::Invalid,
            "--labels",
        ),
    ] {
        let apis = FakeApis::start();
        let headers = vec![("x-ratelimit-remaining", "4711".to_owned())];
        apis.github_server.fail_next(
            "jitconfig",
            vec![Fault::Status(status, json!({"message": message}), headers)],
        );
        let error = failure(&apis);
        assert_eq!(error.kind, kind);
        assert!(
            error.to_string().contains(remedy) && error.to_string().contains(message),
            "{error}"
        );
        assert_eq!(apis.github_server.count("jitconfig"), 1);
    }
}

#[test]
fn redirects_are_followed_on_the_same_server_only() {
    let (apis, other) = (FakeApis::start(), FakeApis::start());
    let path = "/api/v3/repos/octo/cat/actions/runners/generate-jitconfig";
    let moved = |server: &str| {
        let location = vec![("location", format!("{server}{path}"))];
        vec![Fault::Status(307, json!({}), location)]
    };
    apis.github_server
        .fail_next("jitconfig", moved(&apis.github_server.url()));
    block_on(simple(&apis).register_runner("a")).unwrap();
    assert_eq!(apis.github_server.count("jitconfig"), 2);
    apis.github_server
        .fail_next("jitconfig", moved(&other.github_server.url()));
    let error = failure(&apis);
    assert_eq!(error.kind, GithubErrorKind::Invalid);
    assert!(error.to_string().contains("--github-url"), "{error}");
    assert!(other.github_server.requests().is_empty());
}

#[test]
fn rate_limits_are_awaited_or_reported() {
    let limited = |status, message: &str, headers| {
        Fault::Status(status, json!({"message": message}), headers)
    };
    let apis = FakeApis::start();
    let reset = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    apis.github_server.fail_next(
        "jitconfig",
        vec![
            limited(
                429,
                "secondary rate limit",
                vec![("retry-after", "1".to_owned())],
            ),
            limited(
                403,
                "API rate limit exceeded",
                vec![
                    ("x-ratelimit-remaining", "0".to_owned()),
                    ("x-ratelimit-reset", reset.to_string()),
                ],
            ),
        ],
    );
    let start = Instant::now();
    block_on(simple(&apis).register_runner("a")).unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
    // This pause of a minute is longer than the client's timeout.
    apis.github_server.fail_next(
        "jitconfig",
        vec![limited(
            403,
            "You have exceeded a secondary rate limit",
            vec![],
        )],
    );
    let error = block_on(simple(&apis).register_runner("b")).unwrap_err();
    assert_eq!(error.kind, GithubErrorKind::Limited);
    assert!(error.to_string().contains("60 more seconds"), "{error}");
}

#[test]
fn transient_failures_are_retried() {
    let apis = FakeApis::start();
    apis.github_server.fail_next(
        "jitconfig",
        vec![Fault::Status(502, json!({}), vec![]), Fault::HoldBefore],
    );
    block_on(simple(&apis).register_runner("a")).unwrap();
    assert_eq!(apis.github_server.count("jitconfig"), 3);
}

#[test]
fn a_lost_response_becomes_an_existing_name() {
    for lost in [Fault::Cut, Fault::HoldAfter] {
        let apis = FakeApis::start();
        apis.github_server.fail_next("jitconfig", vec![lost]);
        assert_eq!(failure(&apis).kind, GithubErrorKind::Exists);
    }
}

#[test]
fn a_malformed_response_may_have_succeeded() {
    for garbage in [
        "<html>log in</html>",
        "{}",
        "{\"runner\": {\"id\": 1}, \"encoded_jit_config\": \"\"}",
        "{\"runner\": ",
    ] {
        let apis = FakeApis::start();
        apis.github_server
            .fail_next("jitconfig", vec![Fault::Garbage(garbage)]);
        let error = failure(&apis);
        assert_eq!(error.kind, GithubErrorKind::Malformed, "{error}");
        assert!(error.kind.may_have_succeeded());
    }
}

#[test]
fn an_unreachable_server_is_reported() {
    let apis = FakeApis::start();
    // No test listens on port 1: it is below the range of ports that the kernel assigns.
    let unused = "127.0.0.1:1";
    let endpoint = format!("http://{unused}").parse().unwrap();
    let timeouts = Timeouts {
        request: Duration::from_millis(200),
        rate_limit: Duration::ZERO,
    };
    let github = Github::new(
        &endpoint,
        repository(),
        token(),
        RunnerSettings::default(),
        timeouts,
    )
    .unwrap();
    let error = block_on(github.register_runner("a")).unwrap_err();
    assert_eq!(error.kind, GithubErrorKind::Unavailable);
    assert!(error.to_string().contains("--github-url"), "{error}");
    drop(apis);
}
