//! Requests to registries through the builder's own client.

use super::*;

fn with_policy() -> Fixture {
    let mut fixture = Fixture::new("FROM scratch");
    fixture.settings.push_allow = vec!["registry.example/team/*".to_owned()];
    fixture.settings.cache = Some("registry.example/team/cache".to_owned());
    fixture
}

#[test]
fn a_registry_request_has_the_entry_of_its_names() {
    let fixture = with_policy();
    let entry = r#"{"auths":{"registry.example/a":{"auth":"YnVpbGRlcg=="}}}"#;
    for (request, flags) in [("manifest", "--raw"), ("config", "--raw --config")] {
        let planned = fixture.plan(&format!("registry {request} registry.example/a:1"), &[]);
        let planned = planned.unwrap();
        assert_eq!(planned.program.name(), "skopeo");
        assert_eq!(
            line(&planned),
            format!("--command-timeout=2m inspect {flags} -- docker://registry.example/a:1")
        );
        assert_eq!(authfile(&planned), entry);
        assert_eq!(planned.stdout, Stdout::Binary);
        assert!(planned.grants.bounded && !planned.grants.storage);
    }
    let other = fixture.plan("registry manifest other.example/a:1", &[]);
    assert_eq!(authfile(&other.unwrap()), r#"{"auths":{}}"#);
}

#[test]
fn registry_requests_obey_the_push_policy() {
    let fixture = with_policy();
    let digest = format!("@sha256:{}", "0".repeat(64));
    let targets = [
        "registry.example/other/x:1",
        "other.example/team/x",
        "team/x",
    ];
    let targets = targets.map(str::to_owned).into_iter();
    for target in targets.chain([format!("registry.example/other/x{digest}")]) {
        fixture.refused(
            &format!("registry copy a.example/b:1 {target}"),
            "not allowed",
        );
        fixture.refused(&format!("registry index {target}"), "not allowed");
    }
    let cache = "registry.example/team/cache";
    for line in [
        format!("registry copy a.example/b:1 {cache}:1"),
        format!("registry index {cache}:1"),
        format!("registry push localhost/a {cache}"),
    ] {
        fixture.refused(&line, "it is builder.cache");
    }
    fixture.refused(
        "registry push localhost/a registry.example/other/x",
        "not allowed",
    );
    for name in [
        "dir:/run/secrets",
        "oci:/x",
        "containers-storage:a",
        "docker://a/../b",
    ] {
        for request in ["manifest", "config", "index"] {
            let line = format!("registry {request} {name}");
            assert!(fixture.plan(&line, &[]).is_err(), "{line}");
        }
        let copy = format!("registry copy {name} registry.example/team/x");
        assert!(fixture.plan(&copy, &[]).is_err(), "{copy}");
    }
}

#[test]
fn an_unverified_request_has_no_entry_of_the_builder() {
    let fixture = with_policy();
    for line in [
        "registry manifest --tls-verify=false registry.example/a",
        "registry copy --src-tls-verify=false registry.example/a registry.example/team/b",
        "registry copy --tls-verify=false localhost:1/a registry.example/team/b",
        "registry index --tls-verify=false registry.example/team/b",
        "registry push --tls-verify=false localhost/a registry.example/team/b",
    ] {
        fixture.refused(line, "would get the builder's credentials");
    }
    let copy = "registry copy --src-tls-verify=false localhost:1/a registry.example/team/b";
    let copy = fixture.plan(copy, &[]).unwrap();
    assert!(has(&copy, "--src-tls-verify=false") && !line(&copy).contains("dest-tls"));
}

#[test]
fn a_list_is_pushed_from_memory_and_nothing_else_is() {
    let fixture = with_policy();
    let plan =
        |input: &[u8]| fixture.plan_with_input("registry index registry.example/team/x:1", input);
    let planned = plan(br#"{"schemaVersion":2,"manifests":[]}"#).unwrap();
    assert!(has(&planned, "--multi-arch=index-only") && has(&planned, "dir:/own/memory"));
    assert!(file(&planned, "manifest.json").is_some());
    for input in [&b""[..], b"x", br#"{"schemaVersion":2,"layers":[]}"#] {
        assert!(matches!(plan(input), Err(Rejected::NoIndex)));
    }
}

#[test]
fn a_push_by_digest_has_no_tag() {
    let fixture = with_policy();
    let line_of = |text: &str| line(&fixture.plan(text, &[]).unwrap());
    let push =
        line_of("registry push --compression-format=zstd localhost/a registry.example/team/x");
    assert!(
        push.contains("'--dest-compress=true' '--dest-compress-format=zstd'"),
        "{push}"
    );
    assert!(
        push.ends_with("'docker://registry.example/team/x'@\"$digest\""),
        "{push}"
    );
    assert!(push.contains("\nulimit -d 1048576\nexec skopeo"), "{push}");
    let list = line_of("registry push --list -D localhost/a registry.example/team/x");
    assert!(
        list.contains("buildah 'manifest' 'push'") && !list.contains("dest-compress"),
        "{list}"
    );
    let injected = line_of("registry push --format=';id;' localhost/a registry.example/team/x");
    let quote = r"'\''";
    assert!(
        injected.contains(&format!("'--format={quote};id;{quote}'")),
        "{injected}"
    );
    let digest = format!("@sha256:{}", "0".repeat(64));
    for version in [":1", &digest] {
        let push = format!("registry push localhost/a registry.example/team/x{version}");
        fixture.refused(&push, "without tag or digest");
    }
}
