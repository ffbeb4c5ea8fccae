//! A job in each kind of pod: its secrets come and go, an image is built and pushed, and nothing is left.

use std::collections::BTreeMap;

use serde_json::Value;
use support::Registry;

use crate::kubelet::{Pod, with_script};
use crate::volumes::Secrets;

const TOKEN: &str = "a-token-of-the-runners-own";

/// What a job does, in any pod. The credentials of the registry are nowhere that the job names.
const JOB: &str = r#"
    echo "status: $(grep -E '^(Uid|CapBnd|CapEff|NoNewPrivs|Seccomp):' /proc/self/status | tr -s '\t\n' ' ')"
    [ "$TOKEN" = a-token-of-the-runners-own ] || exit 41
    [ -z "$(ls -A /run/secrets/supervisor)" ] || exit 42
    [ ! -e /run/secrets/mounted ] && [ ! -e /var/run/secrets/kubernetes.io ] || exit 43
    mkdir -p context ~/cache /tmp/of-the-job && cp /usr/local/bin/supervisor context/s || exit 44
    echo mine >context/private && chmod 0600 context/private
    printf 'FROM scratch\nCOPY s /s\nCOPY private /private\nRUN ["/s", "--version"]\n' >context/Containerfile
    buildah build --tag 127.0.0.1:5000/team/made:1 context || exit 45
    buildah push 127.0.0.1:5000/team/made:1 || exit 46
    mkdir -m 0 closed; ln -s /etc/passwd link
    setsid sleep 86377 &
"#;

/// `builder:of-the-team`.
const AUTHS: &str = r#"{"auths":{"127.0.0.1:5000":{"auth":"YnVpbGRlcjpvZi10aGUtdGVhbQ=="}}}"#;

fn secrets(token: &'static str) -> Secrets {
    let of = |name, keys: &[(&'static str, &str)]| {
        let keys = keys.iter().map(|(key, value)| (*key, (*value).to_owned()));
        (name, keys.collect())
    };
    let vendor = if token == "jitconfig" {
        "github"
    } else {
        "circleci"
    };
    BTreeMap::from([
        of(vendor, &[(token, TOKEN), ("not_asked_for", "x")]),
        of("registry", &[(".dockerconfigjson", AUTHS)]),
    ])
}

fn token_of(overlay: &str) -> &'static str {
    if overlay.starts_with("github") {
        "jitconfig"
    } else {
        "resource_class_token"
    }
}

fn runs_a_job(overlay: &str) {
    let mut pod = Pod::new(&with_script(overlay, JOB), &secrets(token_of(overlay)));
    let registry = Registry::start(&pod.network(), 5000, "builder", "of-the-team");
    if let Err(ended) = pod.init() {
        panic!("{overlay}: {} {}", ended.code, ended.said);
    }
    let staged = pod.volumes().list("runner-secrets");
    assert!(
        staged.iter().all(|key| key != "not_asked_for"),
        "{staged:?}"
    );
    let job = pod.main();
    assert_eq!(job.code, 0, "{overlay}: {}", job.said);
    let report = report(&job.said);
    assert_eq!(report["reason"], "completed", "{report}");
    assert_eq!(report["wiped"]["leftover_count"], 0, "{report}");
    if overlay.contains("split") {
        let pushed = &report["builder"]["pushed"][0];
        assert_eq!(pushed["name"], "127.0.0.1:5000/team/made:1", "{report}");
        let digest = pushed["digest"].as_str().unwrap();
        let path = format!("team/made/manifests/{digest}");
        let accept = "Accept: application/vnd.oci.image.manifest.v1+json";
        let flags = [
            "--user",
            "builder:of-the-team",
            "--head",
            "--header",
            accept,
        ];
        let head = registry.curl(&path, &flags);
        assert!(head.contains(digest), "{head}");
        assert_eq!(report["builder"]["builds"], 1, "{report}");
    }
    assert_has_the_rights(&pod, overlay, &job.said);
    let tags = registry.curl("team/made/tags/list", &["--user", "builder:of-the-team"]);
    assert!(tags.contains("\"1\""), "{tags}");
    for ended in pod.end() {
        assert_eq!(ended.code, 0, "{overlay}: {}", ended.said);
        assert_eq!(
            self::report(&ended.said)["reason"],
            "completed",
            "{}",
            ended.said
        );
    }
    let mut empty = vec![
        "workspace",
        "runner-secrets",
        "runner-private",
        "runner-tmp",
        "runner-var-tmp",
    ];
    if overlay.contains("split") {
        empty.extend(["builder-storage", "builder-var-tmp"]);
    }
    for volume in empty {
        let left = pod.volumes().list(volume);
        assert!(left.is_empty(), "{overlay}: {volume} holds {left:?}");
    }
    let message = std::fs::read_to_string(pod.volumes().path("termination-log")).unwrap();
    assert!(
        message.starts_with("{\"schema\":\"ci-cd-agents.report/v1\""),
        "{message}"
    );
}

fn report(said: &str) -> Value {
    let mut lines = said.lines().filter(|line| line.starts_with("{\"schema\""));
    let line = lines.next().unwrap_or_else(|| panic!("no report: {said}"));
    serde_json::from_str(line).unwrap()
}

/// The kernel's own word on the job, and in the shape `split` on the builder.
fn assert_has_the_rights(pod: &Pod, overlay: &str, said: &str) {
    let status = said
        .lines()
        .find_map(|line| line.strip_prefix("status: "))
        .unwrap();
    let rights = pod.rights("runner");
    let has = |text: String| assert!(status.contains(&text), "{overlay}: {text}: {status}");
    has(format!("Uid: {} {} ", rights.user, rights.user));
    has("Seccomp: 2".to_owned());
    if overlay.contains("split") {
        has(format!("CapBnd: {}", rights.bounding()));
        has("CapEff: 0000000000000000".to_owned());
        has("NoNewPrivs: 1".to_owned());
        let builder = pod.rights("builder");
        let status = pod.status("builder").replace('\t', " ");
        let has = |text: String| assert!(status.contains(&text), "{overlay}: {text}: {status}");
        has(format!(
            "NoNewPrivs: {}",
            u8::from(builder.no_new_privileges)
        ));
        has("Seccomp: 2".to_owned());
    }
}

#[test]
fn split_userns() {
    runs_a_job("github-split-userns");
}

#[test]
fn split_rootless() {
    runs_a_job("circleci-split-rootless");
}

#[test]
fn single_userns() {
    runs_a_job("circleci-single-userns");
}

#[test]
fn single_rootless() {
    runs_a_job("github-single-rootless");
}

/// Of what a Secret lacks, or has too late, the init container tells, and no job starts.
#[test]
fn without_a_token_that_is_valid_a_pod_ends_before_its_job() {
    // {"alg":"none"}.{"exp":1}
    let over = "eyJhbGciOiJub25lIn0.eyJleHAiOjF9.c2ln";
    for (overlay, secret, key, value, said) in [
        (
            "circleci-split-rootless",
            "circleci",
            "other",
            "x",
            "resource_class_token is missing",
        ),
        (
            "github-single-rootless",
            "github",
            "jitconfig",
            over,
            "jitconfig expired",
        ),
        (
            "github-split-rootless",
            "registry",
            ".dockerconfigjson",
            "{",
            "not a docker configuration",
        ),
    ] {
        let mut secrets = BTreeMap::from([("github", vec![]), ("circleci", vec![])]);
        secrets.insert(secret, vec![(key, value.to_owned())]);
        let mut pod = Pod::new(&with_script(overlay, "true"), &secrets);
        let ended = pod.init().unwrap_err();
        assert_eq!(ended.code, 77, "{}", ended.said);
        assert!(ended.said.contains(said), "{}", ended.said);
        assert!(pod.volumes().list("runner-secrets").is_empty());
    }
}
