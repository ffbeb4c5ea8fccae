//! GitHub's side: what is sent is what is documented, and every answer has its meaning.

use std::process::Command;
use std::time::{Duration, Instant};

use launcher::secret::Secret;
use launcher::tokens::github::app::App;
use launcher::tokens::github::endpoint::Scope;
use launcher::tokens::github::{Cause, Credential, Github, GithubError, Patience, Runner};
use serde_json::json;

use crate::fakes::World;
use crate::fakes::github::{APP, TOKEN};
use crate::fakes::server::Fault;

fn token() -> Credential {
    Credential::Token(Secret::new(TOKEN.to_owned()))
}

fn repository() -> Scope {
    Scope::repository("octo/cat").unwrap()
}

/// A client that loses patience soon.
fn client(world: &World, scope: Scope, credential: Credential, runner: Runner) -> Github {
    let patience = Patience {
        answer: Duration::from_millis(400),
        limit: Duration::from_secs(3),
    };
    let site = world.github_server.url().parse().unwrap();
    Github::new(&site, scope, credential, runner, patience).unwrap()
}

fn simple(world: &World) -> Github {
    client(world, repository(), token(), Runner::default())
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// A private key, and its public half given to the stand-in.
fn app(world: &World) -> Secret {
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
    world.github.key(openssl(&["rsa", "-pubout"], &private));
    Secret::new(String::from_utf8(private).unwrap())
}

fn by_app(world: &World, installation: Option<u64>) -> Credential {
    Credential::App(App::new(APP, &app(world), installation).unwrap())
}

fn failure(world: &World) -> GithubError {
    wait(simple(world).mint("a")).unwrap_err()
}

#[test]
fn a_runner_is_registered_for_each_scope() {
    let world = World::start();
    let runner = Runner {
        labels: vec!["self-hosted".to_owned(), "gpu".to_owned()],
        group: Some("group-120".to_owned()),
        work_folder: Some("work".to_owned()),
    };
    let scopes = [
        Scope::organisation("octo").unwrap(),
        Scope::enterprise("octo-inc").unwrap(),
    ];
    for (number, scope) in scopes.into_iter().enumerate() {
        let github = client(&world, scope, token(), runner.clone());
        wait(async {
            for name in ["a", "b"] {
                github.mint(&format!("{name}-{number}")).await.unwrap();
            }
        });
    }
    // Two pages of groups for each client, asked for once.
    assert_eq!(world.github_server.count("/runner-groups"), 4);
    let minted = wait(simple(&world).mint("c")).unwrap();
    assert_eq!(minted.config.expose(), format!("jit-{}", minted.runner));
    let bodies = world.github.bodies();
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
fn an_unknown_group_is_told_with_those_that_there_are() {
    let world = World::start();
    let runner = Runner {
        group: Some("no such".to_owned()),
        ..Runner::default()
    };
    let github = client(
        &world,
        Scope::organisation("octo").unwrap(),
        token(),
        runner,
    );
    let error = wait(github.mint("a")).unwrap_err();
    assert_eq!(error.cause, Cause::NotFound);
    assert!(error.to_string().contains("group-1, group-2"), "{error}");
}

#[test]
fn an_app_asks_for_one_token_with_no_more_rights_than_it_needs() {
    let world = World::start();
    let github = client(
        &world,
        repository(),
        by_app(&world, None),
        Runner::default(),
    );
    wait(async {
        let many =
            (0..8).map(|number| github.mint(Box::leak(format!("a-{number}").into_boxed_str())));
        for minted in futures::future::join_all(many).await {
            minted.unwrap();
        }
    });
    assert_eq!(
        world.github.rights(),
        [json!({"permissions": {"administration": "write"}, "repositories": ["cat"]})]
    );
    // A token that was withdrawn is replaced, once.
    world.github.withdraw_tokens();
    wait(github.mint("again")).unwrap();
    assert_eq!(world.github.rights().len(), 2);
}

#[test]
fn an_organisations_app_asks_for_the_right_to_runners() {
    let world = World::start();
    let scope = Scope::organisation("octo").unwrap();
    let github = client(&world, scope, by_app(&world, Some(99)), Runner::default());
    wait(github.mint("a")).unwrap();
    assert_eq!(
        world.github.rights(),
        [json!({"permissions": {"organization_self_hosted_runners": "write"}})]
    );
    assert_eq!(world.github_server.count("/installation"), 1);
    let scope = Scope::enterprise("octo-inc").unwrap();
    let error = wait(client(&world, scope, by_app(&world, Some(99)), Runner::default()).mint("a"))
        .unwrap_err();
    assert!(
        error.to_string().contains("manage_runners:enterprise"),
        "{error}"
    );
}

#[test]
fn a_wrong_clock_is_worked_around_and_a_wrong_key_is_not() {
    for skew in [-900, -120, 900] {
        let world = World::start();
        let credential = by_app(&world, Some(99));
        world.github.skew(skew);
        let github = client(&world, repository(), credential, Runner::default());
        wait(github.mint("a")).unwrap_or_else(|error| panic!("{skew}: {error}"));
    }
    let world = World::start();
    let credential = by_app(&world, Some(99));
    // Another key than that of `credential`.
    app(&world);
    world.github.skew(900);
    let error =
        wait(client(&world, repository(), credential, Runner::default()).mint("a")).unwrap_err();
    assert_eq!(error.cause, Cause::Unauthorized);
    assert!(error.to_string().contains("900 seconds behind"), "{error}");
}

#[test]
fn every_refusal_comes_at_once_with_its_cure() {
    for (status, message, cause, cure) in [
        (
            401,
            "Bad credentials",
            Cause::Unauthorized,
            "make a new one",
        ),
        (
            403,
            "Resource not accessible by personal access token",
            Cause::Forbidden,
            "Administration: write",
        ),
        (404, "Not Found", Cause::NotFound, "octo/cat"),
        (409, "Already exists", Cause::Exists, "--id"),
        (422, "Invalid request.", Cause::Refused, "--labels"),
    ] {
        let world = World::start();
        let headers = vec![("x-ratelimit-remaining", "4711".to_owned())];
        world.github_server.fail(
            "jitconfig",
            vec![Fault::Status(status, json!({"message": message}), headers)],
        );
        let error = failure(&world);
        assert_eq!(error.cause, cause);
        assert!(
            error.to_string().contains(cure) && error.to_string().contains(message),
            "{error}"
        );
        assert_eq!(world.github_server.count("jitconfig"), 1);
    }
}

#[test]
fn a_redirect_is_followed_on_the_same_server_alone() {
    let (world, other) = (World::start(), World::start());
    let path = "/api/v3/repos/octo/cat/actions/runners/generate-jitconfig";
    let moved = |server: &str| {
        let location = vec![("location", format!("{server}{path}"))];
        vec![Fault::Status(307, json!({}), location)]
    };
    world
        .github_server
        .fail("jitconfig", moved(&world.github_server.url()));
    wait(simple(&world).mint("a")).unwrap();
    assert_eq!(world.github_server.count("jitconfig"), 2);
    world
        .github_server
        .fail("jitconfig", moved(&other.github_server.url()));
    let error = failure(&world);
    assert_eq!(error.cause, Cause::Refused);
    assert!(error.to_string().contains("--github-url"), "{error}");
    assert!(other.github_server.requests().is_empty());
}

#[test]
fn limits_are_waited_for_and_told_where_that_takes_too_long() {
    let limited = |status, message: &str, headers| {
        Fault::Status(status, json!({"message": message}), headers)
    };
    let world = World::start();
    let reset = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    world.github_server.fail(
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
    wait(simple(&world).mint("a")).unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
    // A minute, which is more than this client has.
    world.github_server.fail(
        "jitconfig",
        vec![limited(
            403,
            "You have exceeded a secondary rate limit",
            vec![],
        )],
    );
    let error = wait(simple(&world).mint("b")).unwrap_err();
    assert_eq!(error.cause, Cause::Limited);
    assert!(error.to_string().contains("60 more seconds"), "{error}");
}

#[test]
fn trouble_that_passes_is_asked_again() {
    let world = World::start();
    world.github_server.fail(
        "jitconfig",
        vec![Fault::Status(502, json!({}), vec![]), Fault::HoldBefore],
    );
    wait(simple(&world).mint("a")).unwrap();
    assert_eq!(world.github_server.count("jitconfig"), 3);
}

#[test]
fn an_answer_that_was_lost_says_that_the_name_is_taken() {
    for lost in [Fault::Cut, Fault::HoldAfter] {
        let world = World::start();
        world.github_server.fail("jitconfig", vec![lost]);
        assert_eq!(failure(&world).cause, Cause::Exists);
    }
}

#[test]
fn an_answer_of_another_form_is_told_and_leaves_doubt() {
    for garbage in [
        "<html>log in</html>",
        "{}",
        "{\"runner\": {\"id\": 1}, \"encoded_jit_config\": \"\"}",
        "{\"runner\": ",
    ] {
        let world = World::start();
        world
            .github_server
            .fail("jitconfig", vec![Fault::Garbage(garbage)]);
        let error = failure(&world);
        assert_eq!(error.cause, Cause::Malformed, "{error}");
        assert!(error.cause.leaves_doubt());
    }
}

#[test]
fn a_server_that_is_not_there_is_told() {
    let world = World::start();
    // A port that nobody has: it was just given back.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let site = format!("http://{nobody}").parse().unwrap();
    let patience = Patience {
        answer: Duration::from_millis(200),
        limit: Duration::ZERO,
    };
    let github = Github::new(&site, repository(), token(), Runner::default(), patience).unwrap();
    let error = wait(github.mint("a")).unwrap_err();
    assert_eq!(error.cause, Cause::Unavailable);
    assert!(error.to_string().contains("--github-url"), "{error}");
    drop(world);
}

#[test]
fn runners_are_found_listed_and_removed() {
    let world = World::start();
    for number in 0..205 {
        world.github.add(&format!("r-{number}"), "offline", false);
    }
    let busy = world.github.add("busy & online", "online", true);
    let github = simple(&world);
    wait(async {
        assert_eq!(github.list().await.unwrap().len(), 206);
        assert_eq!(
            github.find("busy & online").await.unwrap().unwrap().id,
            busy
        );
        assert_eq!(github.find("none").await.unwrap(), None);
        github.remove(1).await.unwrap();
        // Gone is gone.
        github.remove(1).await.unwrap();
        let error = github.remove(busy).await.unwrap_err();
        assert!(error.to_string().contains("has a job"), "{error}");
    });
}
