//! The GitHub client: its requests follow the documentation, and every response has its meaning.

use std::process::Command;
use std::time::Duration;

use fake_apis::FakeApis;
use fake_apis::github::{APP, TOKEN};
use launcher::secret::Secret;
use launcher::tokens::github::app::App;
use launcher::tokens::github::endpoint::Scope;
use launcher::tokens::github::{Credential, Github, GithubErrorKind, RunnerSettings, Timeouts};
use serde_json::json;

pub fn token() -> Credential {
    Credential::Token(Secret::new(TOKEN.to_owned()))
}

pub fn repository() -> Scope {
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

pub fn simple(apis: &FakeApis) -> Github {
    client(apis, repository(), token(), RunnerSettings::default())
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
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
