//! Launches in the cluster that KUBECONFIG names, in a namespace that the test creates and deletes.
//!
//! No node is needed: the pods select a node that no cluster has. The test writes their status in place of a kubelet. So it
//! does not depend on images or on the nodes' configuration. GitHub is a fake.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    dead_code
)]

#[path = "fakes/apis.rs"]
mod fakes;

use std::io::BufRead as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use fakes::FakeApis;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Namespace, Pod, Secret, ServiceAccount};
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch,
    PatchParams, PostParams,
};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

/// A patch for pods that no node can take.
const NOWHERE: &str = "spec: {template: {spec: {nodeSelector: {ci-cd-agents/none: here}}}}";

fn main() {
    // The arguments of a test harness: `--list --format terse FILTER`, or `FILTER`.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut words = arguments
        .iter()
        .filter(|word| !word.starts_with('-') && *word != "terse");
    let filter = words.next_back().map_or("", String::as_str);
    if !"cluster".contains(filter) {
        return;
    }
    if arguments.iter().any(|argument| argument == "--list") {
        println!("cluster: test");
        return;
    }
    let named = std::env::var("KUBECONFIG").unwrap_or_default();
    if named.is_empty() {
        println!(
            "=================================================================================================="
        );
        println!(
            "NOT RUN: the launcher was not tested in a real cluster, because KUBECONFIG is not set."
        );
        println!(
            "=================================================================================================="
        );
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(all());
    println!("cluster: passed in the cluster of {named}");
}

async fn all() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::try_default().await.unwrap();
    let fixture = Fixture::set_up(client).await;
    let tests = async {
        fixture.the_api_server_accepts_every_overlay().await;
        fixture.a_launch_succeeds_with_the_role_of_k8s_rbac().await;
        fixture.the_same_id_makes_no_second_job().await;
        fixture.another_template_is_rejected().await;
        fixture.a_failed_launch_is_rolled_back().await;
        fixture.a_secret_is_deleted_with_its_job().await;
        fixture.a_missing_right_is_reported().await;
    };
    // Delete the namespace even if a test fails.
    let ended = futures::future::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(tests)).await;
    fixture.tear_down().await;
    if let Err(panic) = ended {
        std::panic::resume_unwind(panic);
    }
}

struct Fixture {
    client: Client,
    namespace: String,
    apis: FakeApis,
    directory: tempfile::TempDir,
}

impl Fixture {
    async fn set_up(client: Client) -> Self {
        let namespace = format!("launcher-test-{}", std::process::id());
        let fixture = Self {
            client,
            namespace,
            apis: FakeApis::start(),
            directory: tempfile::tempdir().unwrap(),
        };
        let setup = fixture.run(None, &["render", "--flavor", "github", "--setup-only"]);
        fixture
            .apply(&String::from_utf8(setup.stdout).unwrap(), false)
            .await;
        let rbac = std::fs::read_to_string(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../k8s/rbac/launcher.yaml"),
        )
        .unwrap();
        fixture
            .apply(
                &rbac.replace(
                    "namespace: ci-cd-agents",
                    &format!("namespace: {}", fixture.namespace),
                ),
                false,
            )
            .await;
        let token = fixture.token("launcher").await;
        fixture.write_kubeconfig("launcher", &token);
        let token = fixture.token("launcher-gc").await;
        fixture.write_kubeconfig("launcher-gc", &token);
        fixture
    }

    async fn tear_down(&self) {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let _ = namespaces
            .delete(&self.namespace, &DeleteParams::background())
            .await;
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Applies a stream of objects as an administrator.
    async fn apply(&self, yaml: &str, dry: bool) {
        for object in serde_saphyr::from_multiple::<Value>(yaml).unwrap() {
            let api_version = object["apiVersion"].as_str().unwrap();
            let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
            let kind = object["kind"].as_str().unwrap();
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
            let api: Api<DynamicObject> = if kind == "Namespace" {
                Api::all_with(self.client.clone(), &resource)
            } else {
                Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
            };
            let mut parameters = PatchParams::apply("launcher-test")
                .force()
                .validation_strict();
            parameters.dry_run = dry;
            let name = object["metadata"]["name"].as_str().unwrap();
            let applied = api.patch(name, &parameters, &Patch::Apply(&object)).await;
            applied.unwrap_or_else(|error| panic!("{kind} {name}: {error}"));
        }
    }

    async fn token(&self, account: &str) -> String {
        let accounts: Api<ServiceAccount> = self.api();
        let request = TokenRequest {
            spec: TokenRequestSpec {
                audiences: Vec::new(),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let answer = accounts
            .create_token_request(account, &PostParams::default(), &request)
            .await
            .unwrap();
        answer.status.unwrap().token
    }

    /// Writes the administrator's kubeconfig with another user.
    fn write_kubeconfig(&self, account: &str, token: &str) {
        let path = std::env::var("KUBECONFIG").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let mut config: Value = serde_saphyr::from_str(&text).unwrap();
        let current = config["current-context"].clone();
        for context in config["contexts"].as_array_mut().unwrap() {
            if context["name"] == current {
                context["context"]["user"] = account.into();
            }
        }
        config["users"] = json!([{"name": account, "user": {"token": token}}]);
        // Paths in a kubeconfig may be relative to its directory.
        let directory = Path::new(&path)
            .canonicalize()
            .unwrap()
            .parent()
            .unwrap()
            .to_owned();
        for cluster in config["clusters"].as_array_mut().unwrap() {
            if let Some(file) = cluster["cluster"]["certificate-authority"].as_str() {
                cluster["cluster"]["certificate-authority"] =
                    directory.join(file).to_str().unwrap().into();
            }
        }
        std::fs::write(
            self.directory.path().join(account),
            serde_saphyr::to_string(&config).unwrap(),
        )
        .unwrap();
    }

    fn command(&self, account: Option<&str>, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_launcher"));
        command
            .args(arguments)
            .env("GITHUB_SERVER_URL", self.apis.github_server.url())
            .env("GITHUB_TOKEN", fakes::github::TOKEN)
            .env("LAUNCHER_REGISTRY", "registry.invalid/ci")
            .env("LAUNCHER_NAMESPACE", &self.namespace)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(account) = account {
            command.env("KUBECONFIG", self.directory.path().join(account));
        }
        command
    }

    fn run(&self, account: Option<&str>, arguments: &[&str]) -> Output {
        let output = self.command(account, arguments).output().unwrap();
        println!(
            "cluster: launcher {}: {:?}",
            arguments.join(" "),
            output.status.code()
        );
        output
    }

    fn launch(&self, id: &str, more: &[&str]) -> Output {
        self.run(Some("launcher"), &launch(id, more))
    }

    async fn pod_of(&self, job: &str) -> Pod {
        let pods: Api<Pod> = self.api();
        let parameters =
            ListParams::default().labels(&format!("batch.kubernetes.io/job-name={job}"));
        wait_until("the pod", async || {
            pods.list(&parameters)
                .await
                .unwrap()
                .items
                .into_iter()
                .next()
        })
        .await
    }

    /// Ends the pod's runner, in place of a kubelet.
    async fn end(&self, job: &str, code: u8) {
        let pod = self.pod_of(job).await.name_any();
        let ended = json!({"exitCode": code, "reason": "Completed", "message": fakes::kube::report(code), "startedAt": now(), "finishedAt": now()});
        let status = json!({"name": "runner", "image": "x", "imageID": "x", "ready": false, "restartCount": 0, "state": {"terminated": ended}});
        let phase = if code == 0 { "Succeeded" } else { "Failed" };
        let patch = json!({"status": {"phase": phase, "containerStatuses": [status]}});
        let pods: Api<Pod> = self.api();
        pods.patch_status(&pod, &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .unwrap();
    }

    async fn the_api_server_accepts_every_overlay(&self) {
        for flavor in ["github", "circleci"] {
            for shape in ["split", "single"] {
                for profile in ["rootless", "userns"] {
                    let overlay = [
                        "render",
                        "--flavor",
                        flavor,
                        "--shape",
                        shape,
                        "--profile",
                        profile,
                        "--job-only",
                    ];
                    let rendered = self.run(None, &overlay);
                    self.apply(&String::from_utf8(rendered.stdout).unwrap(), true)
                        .await;
                }
            }
        }
    }

    async fn a_launch_succeeds_with_the_role_of_k8s_rbac(&self) {
        let mut launched = self
            .command(
                Some("launcher"),
                &launch("whole", &["--wait", "--output", "json"]),
            )
            .spawn()
            .unwrap();
        let pod = self.pod_of("runner-whole").await.name_any();
        let job: Job = self.api().get("runner-whole").await.unwrap();
        let secret: Secret = self.api().get("runner-whole").await.unwrap();
        assert_eq!(secret.immutable, Some(true));
        assert_eq!(secret.owner_references()[0].uid, job.uid().unwrap());
        let event = json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": format!("{pod}.1"), "namespace": self.namespace},
            "involvedObject": {"kind": "Pod", "name": pod, "namespace": self.namespace, "apiVersion": "v1"},
            "reason": "FailedMount", "message": "from the test", "type": "Warning", "source": {"component": "kubelet"},
        });
        let events: Api<Event> = self.api();
        events
            .create(
                &PostParams::default(),
                &serde_json::from_value(event).unwrap(),
            )
            .await
            .unwrap();
        let mut stderr = std::io::BufReader::new(launched.stderr.take().unwrap());
        let reader = tokio::task::spawn_blocking(move || {
            let mut all = String::new();
            while !all.contains("from the test") && stderr.read_line(&mut all).unwrap() > 0 {}
            (stderr, all)
        });
        let (_stderr, text) = reader.await.unwrap();
        assert!(text.contains("FailedMount: from the test"), "{text}");
        self.end("runner-whole", 102).await;
        let output = tokio::task::spawn_blocking(move || launched.wait_with_output().unwrap())
            .await
            .unwrap();
        assert_eq!(output.status.code(), Some(102), "{output:?}");
        let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(printed["outcome"]["report"]["exit_code"], 102);
    }

    async fn the_same_id_makes_no_second_job(&self) {
        let registrations = self.apis.github.registrations();
        let again = self.launch("whole", &["--wait"]);
        assert_eq!(again.status.code(), Some(102), "{again:?}");
        assert_eq!(self.apis.github.registrations(), registrations);
        // The job may also be running.
        assert_eq!(self.launch("twice", &[]).status.code(), Some(0));
        let again = self.launch("twice", &[]);
        let stdout = String::from_utf8_lossy(&again.stdout).into_owned();
        assert_eq!(stdout, "runner-twice  started-before\n", "{again:?}");
        assert_eq!(self.apis.github.registrations(), registrations + 1);
    }

    async fn another_template_is_rejected(&self) {
        let queue = [
            "--patch",
            "metadata: {labels: {kueue.x-k8s.io/queue-name: none}}",
        ];
        assert_eq!(self.launch("queued", &queue).status.code(), Some(0));
        let job: Job = self.api().get("runner-queued").await.unwrap();
        assert_eq!(job.spec.unwrap().suspend, Some(true));
        let other = [&queue[..], &["--patch", "spec: {backoffLimit: 0, template: {spec: {priorityClassName: x, containers: [{name: runner, image: other}]}}}"]].concat();
        let rejected = self.launch("queued", &other);
        assert_eq!(rejected.status.code(), Some(78), "{rejected:?}");
    }

    async fn a_failed_launch_is_rolled_back(&self) {
        self.apis.github_server.fail_next(
            "jitconfig",
            vec![fakes::server::Fault::Status(
                404,
                json!({"message": "Not Found"}),
                vec![],
            )],
        );
        let failed = self.launch("fails", &[]);
        self.apis.github_server.clear_faults();
        assert_eq!(failed.status.code(), Some(78), "{failed:?}");
        let jobs: Api<Job> = self.api();
        wait_until("the Job's removal", async || {
            jobs.get_opt("runner-fails")
                .await
                .unwrap()
                .is_none()
                .then_some(())
        })
        .await;
    }

    async fn a_secret_is_deleted_with_its_job(&self) {
        let jobs: Api<Job> = self.api();
        jobs.delete("runner-twice", &DeleteParams::background())
            .await
            .unwrap();
        let secrets: Api<Secret> = self.api();
        wait_until("the Secret's removal", async || {
            secrets
                .get_opt("runner-twice")
                .await
                .unwrap()
                .is_none()
                .then_some(())
        })
        .await;
        let gc = self.run(Some("launcher-gc"), &["gc", "--delete"]);
        assert_eq!(gc.status.code(), Some(0), "{gc:?}");
    }

    async fn a_missing_right_is_reported(&self) {
        let rejected = self.run(Some("launcher"), &["gc"]);
        assert_eq!(rejected.status.code(), Some(77), "{rejected:?}");
        assert!(
            String::from_utf8_lossy(&rejected.stderr).contains("k8s/rbac"),
            "{rejected:?}"
        );
    }
}

fn launch<'a>(id: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec![
        "launch", "--flavor", "github", "--repo", "octo/cat", "--patch", NOWHERE, "--id", id,
    ];
    all.extend_from_slice(more);
    all
}

fn now() -> String {
    fakes::kube_store::now()
}

/// Waits for a result that remains once it is there. The time limit only ends a failed test.
async fn wait_until<T>(what: &str, mut find: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = find().await {
            return found;
        }
        assert!(
            start.elapsed() < Duration::from_secs(120),
            "{what}: it did not happen"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
