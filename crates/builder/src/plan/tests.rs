//! Tests of whole command lines of a client.

mod products;
mod registry_client;
mod rewriting;
mod views;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::operation::{PrivateFile, Stdin, Stdout};
use crate::settings::Storage;

/// The builder has credentials for registry.example.
const BUILDER: &str = r#"{"auths":{"registry.example":{"auth":"YnVpbGRlcg=="}}}"#;

struct Fixture {
    directory: tempfile::TempDir,
    settings: Settings,
}

/// The supervisor's defaults.
fn settings(workspace: &Path) -> Settings {
    Settings {
        socket: "/run/builder/socket".into(),
        volume: "/var/lib/builder".into(),
        workspace: workspace.to_owned(),
        also_wipe: Vec::new(),
        runtime_directory: "/run/supervisor".into(),
        secrets_directory: "/run/secrets/supervisor".into(),
        client_uid: 1000,
        parallel: 4,
        cache: None,
        cache_write: false,
        push_allow: vec!["*".to_owned()],
        insecure_registries: Vec::new(),
        termination_grace_period: Duration::from_secs(30),
        wipe_reserve: Duration::from_secs(10),
        wipe_budget: Duration::from_secs(600),
        memory: None,
        storage: Storage {
            driver: "overlay",
            mount_program: false,
            graph_root: "/var/lib/builder/storage".into(),
            temporary: "/var/lib/builder/tmp".into(),
            environment: Vec::new(),
        },
    }
}

impl Fixture {
    fn new(containerfile: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("Containerfile"), containerfile).unwrap();
        let settings = settings(directory.path());
        Self {
            directory,
            settings,
        }
    }

    fn with_cache(containerfile: &str) -> Self {
        let mut fixture = Self::new(containerfile);
        fixture.settings.cache = Some("registry.example/cache".to_owned());
        fixture
    }

    fn plan(&self, line: &str, environment: &[(&str, &str)]) -> Result<Operation, Rejected> {
        self.plan_all(line, environment, &[])
    }

    fn plan_with_input(&self, line: &str, input: &[u8]) -> Result<Operation, Rejected> {
        self.plan_all(line, &[], input)
    }

    fn plan_all(
        &self,
        line: &str,
        environment: &[(&str, &str)],
        input: &[u8],
    ) -> Result<Operation, Rejected> {
        let pairs = environment.iter();
        let environment: BTreeMap<String, String> = pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let own = Path::new("/own");
        Planner {
            settings: &self.settings,
            workspace: &Workspace::open(self.directory.path()).unwrap(),
            credentials: &Credentials::of_builder(BUILDER).unwrap(),
            paths: &SandboxPaths {
                memory: own.join("memory"),
                inputs: own.join("in"),
                disk: own.join("disk"),
                workspace: self.directory.path().to_owned(),
            },
            isolation: Isolation::Oci,
            hello: &Hello {
                version: (1, 0),
                arguments: line.split(' ').map(str::to_owned).collect(),
                directory: self.directory.path().display().to_string(),
                environment,
                auths: BTreeMap::new(),
                terminal: None,
            },
        }
        .plan(&mut || Ok(input.to_vec()))
    }

    fn refused(&self, line: &str, because: &str) {
        let refused = self.plan(line, &[]).unwrap_err().to_string();
        assert!(refused.contains(because), "{line}: {refused}");
    }
}

fn has(operation: &Operation, wanted: &str) -> bool {
    let arguments = operation.program.arguments();
    arguments.iter().any(|argument| argument == wanted)
}

fn line(operation: &Operation) -> String {
    operation.program.arguments().join(" ")
}

fn authfile(operation: &Operation) -> String {
    String::from_utf8(operation.authfile.to_vec()).unwrap()
}

fn file<'a>(operation: &'a Operation, name: &str) -> Option<&'a PrivateFile> {
    let mut files = operation.files.iter();
    files.find(|file| file.name.starts_with(name))
}

const PROXY: &[(&str, &str)] = &[("https_proxy", "http://thief"), ("NO_PROXY", "x")];

#[test]
fn proxies_of_the_job_reach_only_run_steps() {
    let fixture = Fixture::with_cache("FROM scratch");
    let build = fixture.plan("build .", PROXY).unwrap();
    let proxies = file(&build, "proxies").unwrap();
    assert_eq!(
        proxies.content.as_slice(),
        b"https_proxy=http://thief\nNO_PROXY=x\n"
    );
    let flag = format!("--build-arg-file=/own/memory/{}", proxies.name);
    // Only the isolation comes before it, so that the job's own arguments override it.
    assert_eq!(build.program.arguments()[2], flag);
    assert!(has(&build, "--http-proxy=false"));
    assert!(
        !line(&build).contains("thief"),
        "other processes can read a command line"
    );
    let without = fixture.plan("build --http-proxy=false .", PROXY).unwrap();
    assert!(has(&without, "--http-proxy=false") && file(&without, "proxies").is_none());
}

#[test]
fn cache_credentials_open_nothing_else() {
    let mut fixture = Fixture::with_cache("FROM scratch");
    let build = fixture.plan("build .", &[]).unwrap();
    assert!(has(&build, "--cache-from=registry.example/cache"));
    assert!(!line(&build).contains("cache-to"));
    assert_eq!(
        authfile(&build),
        r#"{"auths":{"registry.example/cache":{"auth":"YnVpbGRlcg=="}}}"#
    );
    fixture.settings.cache_write = true;
    let build = fixture.plan("build .", &[]).unwrap();
    assert!(has(&build, "--cache-to=registry.example/cache"));
    // An export has no layers, and so it has no cache.
    let export = fixture.plan("build --output out .", &[]).unwrap();
    assert!(!line(&export).contains("cache-"));
    assert_eq!(authfile(&export), r#"{"auths":{}}"#);
}

#[test]
fn verifies_certificates_if_builders_credentials_are_sent() {
    let mut fixture = Fixture::with_cache("FROM scratch");
    let unverified = "build --tls-verify=false .";
    fixture.refused(unverified, "would get the builder's credentials");
    fixture.settings.insecure_registries = vec!["registry.example".to_owned()];
    assert!(fixture.plan(unverified, &[]).is_ok());
    fixture.settings.insecure_registries.clear();
    fixture.settings.cache = Some("other.example/cache".to_owned());
    assert!(fixture.plan(unverified, &[]).is_ok());
    // A pull with them before the build is verified, even if the build is not.
    let private = Fixture::new("FROM registry.example/private");
    let build = private.plan(unverified, PROXY).unwrap();
    let pull = &build.before[0];
    assert!(authfile(pull).contains("YnVpbGRlcg==") && !authfile(&build).contains("YnVpbGRlcg=="));
    assert!(!line(pull).contains("tls-verify"));
}

#[test]
fn rejects_pushes_to_the_cache() {
    let mut fixture = Fixture::with_cache("FROM scratch");
    fixture.settings.cache_write = true;
    let digest = format!("registry.example/cache@sha256:{}", "0".repeat(64));
    for target in [
        "registry.example/cache",
        "registry.example/cache:key",
        "docker://Registry.Example:443/cache:key",
        "registry.example:0443/cache",
        &digest,
    ] {
        for line in [
            format!("push localhost/x {target}"),
            format!("push {target}"),
            format!("manifest push --all localhost/x {target}"),
            format!("build --layers --cache-to {target} ."),
        ] {
            fixture.refused(&line, "it is builder.cache");
        }
    }
    for line in [
        "push registry.example/cached",
        "push registry.example:8443/cache",
    ] {
        assert!(fixture.plan(line, &[]).is_ok(), "{line}");
    }
}

#[test]
fn build_uses_only_images_of_registries_and_storage() {
    let fixture = Fixture::new("FROM scratch");
    let build = fixture.plan("build .", &[]).unwrap();
    let policy = file(&build, "policy").unwrap();
    let flag = format!("--signature-policy=/own/memory/{}", policy.name);
    assert!(has(&build, &flag));
    let policy: serde_json::Value = serde_json::from_slice(&policy.content).unwrap();
    assert_eq!(policy["default"][0]["type"], "reject");
    let transports = policy["transports"].as_object().unwrap();
    assert_eq!(transports.len(), 2);
    let scopes = transports["containers-storage"].as_object().unwrap();
    let scopes: Vec<&String> = scopes.keys().collect();
    assert_eq!(scopes, ["[overlay@/var/lib/builder/storage]"]);
}

#[test]
fn pulls_images_before_the_build_without_output() {
    // A name without a registry can be an image that was built here.
    let fixture = Fixture::new("FROM registry.example/a\nCOPY --from=app / /");
    let build = fixture
        .plan("build --pull --platform linux/arm64 .", &[])
        .unwrap();
    let pull = |image: &str| {
        format!("pull --quiet=true --policy=always --platform=linux/arm64 -- {image}")
    };
    let pulled: Vec<String> = build.before.iter().map(line).collect();
    assert_eq!(pulled, [pull("docker://registry.example/a"), pull("app")]);
    let dropped = |pull: &Operation| pull.stdout == Stdout::Dropped;
    assert!(build.before.iter().all(dropped));
    assert_eq!(build.stdout, Stdout::Text);
}

#[test]
fn allows_several_platforms_without_pulls() {
    let several = "build --platform linux/arm64,linux/amd64 .";
    let fixture = Fixture::new("FROM registry.example/a");
    fixture.refused(several, "a --platform of its own");
    fixture.refused("build --all-platforms .", "a --platform of its own");
    let fixture = Fixture::new("FROM other.example/a");
    assert!(fixture.plan(several, &[]).unwrap().before.is_empty());
}

#[test]
fn cache_is_unused_with_a_mount_program() {
    let mut fixture = Fixture::with_cache("FROM scratch");
    fixture.settings.storage.mount_program = true;
    let build = fixture.plan("build .", &[]).unwrap();
    assert!(!line(&build).contains("cache-from"));
    assert_eq!(authfile(&build), r#"{"auths":{}}"#);
    fixture.settings.cache = Some("other.example/cache".to_owned());
    let build = fixture.plan("build .", &[]).unwrap();
    assert!(has(&build, "--cache-from=other.example/cache"));
}

#[test]
fn build_arg_file_needs_values() {
    let fixture = Fixture::new("FROM scratch");
    let path = fixture.directory.path().join("arguments");
    let line = "build --build-arg-file arguments .";
    std::fs::write(&path, "# comment\n\nA=1\nB=x=y\n").unwrap();
    let build = fixture.plan(line, &[]).unwrap();
    let file = file(&build, "arguments").unwrap();
    assert!(file.content.ends_with(b"B=x=y\n"));
    std::fs::write(&path, "A=1\nhttps_proxy\n").unwrap();
    fixture.refused(line, "line 2: there is no value");
}

#[test]
fn creds_are_for_images_without_builders_credentials() {
    let fixture = Fixture::with_cache("FROM registry.example/a\nCOPY --from=other.example/b / /");
    let build = fixture.plan("build --creds me:mine --pull .", &[]).unwrap();
    let given = r#""other.example/b":{"auth":"bWU6bWluZQ=="}"#;
    assert!(authfile(&build).contains(given), "{}", authfile(&build));
    assert!(authfile(&build).contains("registry.example/cache"));
    assert!(!authfile(&build).contains("registry.example/a"));
    assert!(authfile(&build.before[1]).contains(given));
}

#[test]
fn logins_change_only_the_jobs_authfile() {
    let fixture = Fixture::new("FROM scratch");
    let login = fixture.plan(
        "login --username me --password mine https://a.example/",
        &[],
    );
    let login = login.unwrap();
    assert_eq!(
        line(&login),
        "login --username=me --password-stdin=true --authfile=/own/memory/auth.json -- a.example"
    );
    assert!(matches!(&login.stdin, Stdin::Given(password) if password.as_slice() == b"mine"));
    let logout = fixture.plan("logout --all", &[]).unwrap();
    assert_eq!(
        line(&logout),
        "logout --all=true --authfile=/own/memory/auth.json"
    );
    for operation in [login, logout] {
        assert!(operation.grants.login && !operation.grants.run_steps);
        assert_eq!(authfile(&operation), r#"{"auths":{}}"#);
    }
    fixture.refused(
        "login --username me a.example",
        "use --username and --password-stdin",
    );
    fixture.refused("login --password-stdin a.example", "login needs --username");
    fixture.refused(
        "login --username me --password-stdin a_b",
        "invalid registry",
    );
}

#[test]
fn only_builds_run_code_of_the_job() {
    let fixture = Fixture::new("FROM scratch");
    let grants = |line: &str| fixture.plan(line, &[]).unwrap().grants;
    assert!(grants("build .").run_steps && grants("build .").permit);
    for line in ["pull a.example/b", "push a.example/b"] {
        assert!(grants(line).permit && !grants(line).run_steps, "{line}");
    }
    for line in ["images", "version", "manifest create a", "--version"] {
        assert_eq!(grants(line), crate::operation::Grants::default(), "{line}");
    }
}

#[test]
fn an_export_to_standard_output_is_binary() {
    let fixture = Fixture::new("FROM scratch");
    let export = fixture.plan("build --output - .", &[]).unwrap();
    assert_eq!(export.stdout, Stdout::Binary);
    assert!(has(&export, "--output=-"));
    let local = fixture.plan("build --output type=local,dest=out .", &[]);
    let local = local.unwrap();
    assert!(local.outputs[0].unpack && local.stdout == Stdout::Text);
    fixture.refused(
        "build --output type=oci,dest=out .",
        "type=oci is not available",
    );
}
