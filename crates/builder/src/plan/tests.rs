//! What becomes of a client's command line, whole.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::super::settings::Storage;
use super::*;

/// `builder` has credentials for registry.example.
const BUILDER: &str = r#"{"auths":{"registry.example":{"auth":"YnVpbGRlcg=="}}}"#;

struct Fixture {
    directory: tempfile::TempDir,
    settings: Settings,
}

/// As the supervisor's defaults are.
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
        wipe_budget: Duration::from_secs(600),
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

    fn plan(&self, line: &str, environment: &[(&str, &str)]) -> Result<Operation, String> {
        let pairs = environment.iter();
        let environment: BTreeMap<String, String> = pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let own = Path::new("/own");
        Planner {
            settings: &self.settings,
            workspace: &Workspace::open(self.directory.path()).unwrap(),
            credentials: &Credentials::of_builder(BUILDER).unwrap(),
            places: &Places {
                own: own.join("memory"),
                inputs: own.join("in"),
                disk: own.join("disk"),
                workspace: self.directory.path().to_owned(),
            },
            hello: &Hello {
                version: (1, 0),
                arguments: line.split(' ').map(str::to_owned).collect(),
                directory: self.directory.path().display().to_string(),
                environment,
                terminal: None,
            },
        }
        .plan(&mut || Ok(Vec::new()))
    }

    fn refused(&self, line: &str, because: &str) {
        let refused = self.plan(line, &[]).unwrap_err();
        assert!(refused.contains(because), "{line}: {refused}");
    }
}

fn has(operation: &Operation, wanted: &str) -> bool {
    let mut arguments = operation.arguments.iter();
    arguments.any(|argument| argument == wanted)
}

fn authfile(operation: &Operation) -> String {
    String::from_utf8(operation.authfile.to_vec()).unwrap()
}

fn file<'a>(operation: &'a Operation, name: &str) -> Option<&'a Private> {
    let mut files = operation.files.iter();
    files.find(|file| file.name.starts_with(name))
}

const PROXY: &[(&str, &str)] = &[("https_proxy", "http://thief"), ("NO_PROXY", "x")];

#[test]
fn proxies_of_the_job_are_for_run_steps_alone() {
    let fixture = Fixture::with_cache("FROM scratch");
    let build = fixture.plan("build .", PROXY).unwrap();
    let proxies = file(&build, "proxies").unwrap();
    assert_eq!(
        proxies.content.as_slice(),
        b"https_proxy=http://thief\nNO_PROXY=x\n"
    );
    let flag = format!("--build-arg-file=/own/memory/{}", proxies.name);
    // Before the job's own arguments, which may say otherwise.
    assert_eq!(build.arguments[1], flag);
    assert!(has(&build, "--http-proxy=false"));
    assert!(
        !build.arguments.join(" ").contains("thief"),
        "a command line can be read"
    );
    let without = fixture.plan("build --http-proxy=false .", PROXY).unwrap();
    assert!(has(&without, "--http-proxy=false") && file(&without, "proxies").is_none());
}

#[test]
fn the_cache_is_read_and_its_credentials_open_nothing_else() {
    let mut fixture = Fixture::with_cache("FROM scratch");
    let build = fixture.plan("build .", &[]).unwrap();
    assert!(has(&build, "--cache-from=registry.example/cache"));
    assert!(!build.arguments.join(" ").contains("cache-to"));
    assert_eq!(
        authfile(&build),
        r#"{"auths":{"registry.example/cache":{"auth":"YnVpbGRlcg=="}}}"#
    );
    fixture.settings.cache_write = true;
    let build = fixture.plan("build .", &[]).unwrap();
    assert!(has(&build, "--cache-to=registry.example/cache"));
    // An export has no layers, and so no cache.
    let export = fixture.plan("build --output out .", &[]).unwrap();
    assert!(!export.arguments.join(" ").contains("cache-"));
    assert_eq!(authfile(&export), r#"{"auths":{}}"#);
}

#[test]
fn certificates_are_verified_wherever_the_builders_credentials_go() {
    let mut fixture = Fixture::with_cache("FROM scratch");
    let unverified = "build --tls-verify=false .";
    fixture.refused(unverified, "would get the builder's credentials");
    fixture.settings.insecure_registries = vec!["registry.example".to_owned()];
    assert!(fixture.plan(unverified, &[]).is_ok());
    fixture.settings.insecure_registries.clear();
    fixture.settings.cache = Some("other.example/cache".to_owned());
    assert!(fixture.plan(unverified, &[]).is_ok());
    // What is pulled with them beforehand is verified, whatever the build says.
    let private = Fixture::new("FROM registry.example/private");
    let build = private.plan(unverified, PROXY).unwrap();
    let pull = &build.before[0];
    assert!(authfile(pull).contains("YnVpbGRlcg==") && !authfile(&build).contains("YnVpbGRlcg=="));
    assert!(!pull.arguments.join(" ").contains("tls-verify"));
}

#[test]
fn nobody_pushes_into_the_cache() {
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
fn a_build_takes_images_from_registries_and_the_storage_alone() {
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
fn images_are_pulled_beforehand_as_the_build_names_them_and_quietly() {
    // Without a registry, it may be one that was built here.
    let fixture = Fixture::new("FROM registry.example/a\nCOPY --from=app / /");
    let build = fixture
        .plan("build --pull --platform linux/arm64 .", &[])
        .unwrap();
    let pull = |image: &str| {
        format!("pull --quiet=true --policy=always --platform=linux/arm64 -- {image}")
    };
    let pulled: Vec<String> = build
        .before
        .iter()
        .map(|pull| pull.arguments[3..].join(" "))
        .collect();
    assert_eq!(pulled, [pull("docker://registry.example/a"), pull("app")]);
    let before = &build.before[0];
    assert_eq!(before.program, Some("sh"));
    assert_eq!(before.arguments[1], "exec buildah \"$@\" >/dev/null");
}

#[test]
fn several_platforms_are_built_where_nothing_is_pulled_beforehand() {
    let several = "build --platform linux/arm64,linux/amd64 .";
    let fixture = Fixture::new("FROM registry.example/a");
    fixture.refused(several, "a --platform of its own");
    fixture.refused("build --all-platforms .", "a --platform of its own");
    let fixture = Fixture::new("FROM other.example/a");
    assert!(fixture.plan(several, &[]).unwrap().before.is_empty());
}

#[test]
fn a_mount_program_and_the_caches_credentials_do_not_meet() {
    let mut fixture = Fixture::with_cache("FROM scratch");
    fixture.settings.storage.mount_program = true;
    let build = fixture.plan("build .", &[]).unwrap();
    assert!(!build.arguments.join(" ").contains("cache-from"));
    assert_eq!(authfile(&build), r#"{"auths":{}}"#);
    fixture.settings.cache = Some("other.example/cache".to_owned());
    let build = fixture.plan("build .", &[]).unwrap();
    assert!(has(&build, "--cache-from=other.example/cache"));
}

#[test]
fn a_file_of_arguments_takes_nothing_from_the_builders_environment() {
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
fn credentials_on_the_command_line_are_for_images_that_the_builders_do_not_open() {
    let fixture = Fixture::with_cache("FROM registry.example/a\nCOPY --from=other.example/b / /");
    let build = fixture.plan("build --creds me:mine --pull .", &[]).unwrap();
    let given = r#""other.example/b":{"auth":"bWU6bWluZQ=="}"#;
    assert!(authfile(&build).contains(given), "{}", authfile(&build));
    assert!(authfile(&build).contains("registry.example/cache"));
    assert!(!authfile(&build).contains("registry.example/a"));
    assert!(authfile(&build.before[1]).contains(given));
}
