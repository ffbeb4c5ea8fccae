//! Wrong tokens are reported before anything starts.

use crate::fake::{Github, REGISTRATION, count, jit_configuration};

fn refused(github: Github, part: &str) {
    let ended = github.run();
    assert_eq!(ended.code(), 77, "{}", ended.stderr);
    let report = ended.report();
    assert_eq!(report["reason"], "secrets");
    assert!(
        report["message"].as_str().unwrap().contains(part),
        "{report}"
    );
    assert_eq!(count(&ended.fixture, "argv"), 0);
}

#[test]
fn each_wrong_token_gets_the_sentence_that_says_so() {
    let jit = |value: &str| Github::empty().secret("jitconfig", value);
    refused(
        jit("ghp_0123456789"),
        "secret jitconfig: is a personal access token",
    );
    refused(jit(REGISTRATION), "put it under registration_token");
    refused(
        jit(&format!("{}\n\n", jit_configuration())),
        "stray newline",
    );
    refused(jit(&format!("\"{}\"", jit_configuration())), "quotes");
    let registration = |value: &str| {
        let github = Github::empty().set("GITHUB__URL", "https://github.com/o/r");
        github.secret("registration_token", value)
    };
    refused(
        registration("ghp_0123456789"),
        "where a registration token belongs",
    );
    refused(registration(&jit_configuration()), "put it under jitconfig");
    let expired =
        r#"{"token":"AABF3JGZDX3P5PMEXLND6TS6FCWO6","expires_at":"2020-01-22T12:13:35.123-08:00"}"#;
    refused(registration(expired), "expired at 2020-01-22T20:13:35Z");
    refused(Github::empty(), "secret jitconfig: is missing");
}

#[test]
fn one_trailing_newline_is_no_fault() {
    let value = format!("{}\n", jit_configuration());
    let ended = Github::empty()
        .secret("jitconfig", &value)
        .job("true")
        .run();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
}

#[test]
fn a_registration_without_an_address_names_the_setting() {
    let ended = Github::empty()
        .secret("registration_token", REGISTRATION)
        .run();
    assert_eq!(ended.code(), 78, "{}", ended.stderr);
    assert!(ended.report()["message"].to_string().contains("github.url"));
}
