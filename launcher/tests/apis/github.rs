//! The GitHub client: its requests follow the documentation, and every response has its meaning.

use std::process::Command;
use std::time::{Duration, Instant};

use launcher::secret::Secret;
use launcher::tokens::github::app::App;
use launcher::tokens::github::endpoint::Scope;
use launcher::tokens::github::{
    Credential, Github, GithubError, GithubErrorKind, RunnerSettings, Timeouts,
};
use serde_json::json;

use crate::fakes::FakeApis;
use crate::fakes::github::{APP, TOKEN};
use crate::fakes::server::Fault;

fn token() -> Credential {
    Credential::Token(Secret::new(TOKEN.to_owned()))
}

fn repository() -> Scope {
    Scope::repository("octo/cat").unwrap()
}

/// A client with short timeouts.
fn client(
    apis: &FakeApis,
    scope: Scope,
    credential: Credential,
    settings: RunnerSettings,
) -> Github {
    let timeouts = Timeouts {
        request: Duration::from_millis(400),
        rate_limit: Duration::from_secs(3),
    };
    let endpoint = apis.github_server.url().parse().unwrap();
    Github::new(&endpoint, scope, credential, settings, timeouts).unwrap()
}

fn simple(apis: &FakeApis) -> Github {
    client(apis, repository(), token(), RunnerSettings::default())
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// Generates a key pair for the App. The fake gets the public key.
fn app(apis: &FakeApis) -> Secret {
    let openssl = |arguments: &[&str], input: &[u8]| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), input).unwrap();
        let output = Command::new("openssl")
            .args(arguments)
            .stdin(file.reopen().unwrap())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    let private = openssl(&["genrsa", "2048"], b"");
    apis.github.key(openssl(&["rsa", "-pubout"], &private));
    Secret::new(String::from_utf8(private).unwrap())
}

fn by_app(apis: &FakeApis, installation: Option<u64>) -> Credential {
    Credential::App(App::new(APP, &app(apis), installation).unwrap())
}

fn failure(apis: &FakeApis) -> GithubError {
    block_on(simple(apis).register_runner("a")).unwrap_err()
}

#[test]
fn a_runner_is_registered_for_each_scope() {
    let apis = FakeApis::start();
    let settings = RunnerSettings {
        labels: vec!["self-hosted".to_owned(), "gpu".to_owned()],
        group: Some("group-120".to_owned()),
        work_folder: Some("work".to_owned()),
    };
    let scopes = [
        Scope::organisation("octo").unwrap(),
        Scope::enterprise("octo-inc").unwrap(),
    ];
    for (number, scope) in scopes.into_iter().enumerate() {
        let github = client(&apis, scope, token(), settings.clone());
        block_on(async {
            for name in ["a", "b"] {
                github
                    .register_runner(&format!("{name}-{number}"))
                    .await
                    .unwrap();
            }
        });
    }
    // Each client requests the two pages of groups once.
    assert_eq!(apis.github_server.count("/runner-groups"), 4);
    let registered = block_on(simple(&apis).register_runner("c")).unwrap();
    assert_eq!(
        registered.jit_config.expose(),
        format!("jit-{}", registered.id)
    );
    let bodies = apis.github.bodies();
    assert_eq!(
        bodies[0],
        json!({"name": "a-0", "runner_group_id": 120, "labels": ["self-hosted", "gpu"], "work_folder": "work"})
    );
    assert_eq!(
        bodies[4],
        json!({"name": "c", "runner_group_id": 1, "labels": ["self-hosted"]})
    );
}

#[test]
fn an_unknown_group_is_reported_with_the_existing_groups() {
    let apis = FakeApis::start();
    let settings = RunnerSettings {
        group: Some("no such".to_owned()),
        ..RunnerSettings::default()
    };
    let github = client(
        &apis,
        Scope::organisation("octo").unwrap(),
        token(),
        settings,
    );
    let error = block_on(github.register_runner("a")).unwrap_err();
    assert_eq!(error.kind, GithubErrorKind::NotFound);
    assert!(error.to_string().contains("group-1, group-2"), "{error}");
}

#[test]
fn an_app_requests_one_token_with_minimal_permissions() {
    let apis = FakeApis::start();
    let github = client(
        &apis,
        repository(),
        by_app(&apis, None),
        RunnerSettings::default(),
    );
    block_on(async {
        let many = (0..8).map(|number| {
            github.register_runner(Box::leak(format!("a-{number}").into_boxed_str()))
        });
        for registered in futures::future::join_all(many).await {
            registered.unwrap();
        }
    });
    assert_eq!(
        apis.github.token_requests(),
        [json!({"permissions": {"administration": "write"}, "repositories": ["cat"]})]
    );
    // A revoked token is replaced once.
    apis.github.revoke_tokens();
    block_on(github.register_runner("again")).unwrap();
    assert_eq!(apis.github.token_requests().len(), 2);
}

#[test]
fn an_organisations_app_requests_the_runner_permission() {
    let apis = FakeApis::start();
    let scope = Scope::organisation("octo").unwrap();
    let github = client(
        &apis,
        scope,
        by_app(&apis, Some(99)),
        RunnerSettings::default(),
    );
    block_on(github.register_runner("a")).unwrap();
    assert_eq!(
        apis.github.token_requests(),
        [json!({"permissions": {"organization_self_hosted_runners": "write"}})]
    );
    assert_eq!(apis.github_server.count("/installation"), 1);
    let scope = Scope::enterprise("octo-inc").unwrap();
    let error = block_on(
        client(
            &apis,
            scope,
            by_app(&apis, Some(99)),
            RunnerSettings::default(),
        )
        .register_runner("a"),
    )
    .unwrap_err();
    assert!(
        error.to_string().contains("manage_runners:enterprise"),
        "{error}"
    );
}

#[test]
fn a_wrong_clock_is_tolerated_and_a_wrong_key_is_not() {
    for skew in [-900, -120, 900] {
        let apis = FakeApis::start();
        let credential = by_app(&apis, Some(99));
        apis.github.skew(skew);
        let github = client(&apis, repository(), credential, RunnerSettings::default());
        block_on(github.register_runner("a")).unwrap_or_else(|error| panic!("{skew}: {error}"));
    }
    let apis = FakeApis::start();
    let credential = by_app(&apis, Some(99));
    // The fake now expects a different key.
    app(&apis);
    apis.github.skew(900);
    let error = block_on(
        client(&apis, repository(), credential, RunnerSettings::default()).register_runner("a"),
    )
    .unwrap_err();
    assert_eq!(error.kind, GithubErrorKind::Unauthorized);
    assert!(error.to_string().contains("900 seconds behind"), "{error}");
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
    // A port that no process listens on: it was just closed.
    let unused = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
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

#[test]
fn runners_are_found_listed_and_removed() {
    let apis = FakeApis::start();
    for number in 0..205 {
        apis.github.add(&format!("r-{number}"), "offline", false);
    }
    let busy = apis.github.add("busy & online", "online", true);
    let github = simple(&apis);
    block_on(async {
        assert_eq!(github.list().await.unwrap().len(), 206);
        assert_eq!(
            github.find("busy & online").await.unwrap().unwrap().id,
            busy
        );
        assert_eq!(github.find("none").await.unwrap(), None);
        github.remove(1).await.unwrap();
        // A missing runner is not an error.
        github.remove(1).await.unwrap();
        let error = github.remove(busy).await.unwrap_err();
        assert!(error.to_string().contains("has a job"), "{error}");
    });
}
