//! Launches in a real cluster, whichever KUBECONFIG names: in a namespace of the test's own, which is removed again.
//!
//! No node is needed. The pods ask for one that no cluster has, and the test tells of their ends in a kubelet's place, so that
//! nothing depends on images or on what nodes allow. GitHub is the stand-in.
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

use fakes::World;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Namespace, Pod, Secret, ServiceAccount};
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch,
    PatchParams, PostParams,
};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

/// Pods with this are never scheduled.
const NOWHERE: &str = "spec: {template: {spec: {nodeSelector: {ci-cd-agents/none: here}}}}";

fn main() {
    // As a harness has it: `--list --format terse FILTER`, or `FILTER`.
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
            "NOT RUN: the launcher was not tried in a real cluster, because KUBECONFIG names none."
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
    let lab = Lab::set_up(client).await;
    let tests = async {
        lab.every_overlay_is_taken_by_the_api_server().await;
        lab.a_launch_with_the_role_of_k8s_rbac_runs_to_its_end()
            .await;
        lab.the_same_id_makes_no_second_job().await;
        lab.another_template_is_refused().await;
        lab.a_launch_that_fails_leaves_nothing().await;
        lab.a_secret_goes_with_its_job().await;
        lab.what_the_role_does_not_allow_is_refused().await;
    };
    // The namespace is removed whether they pass or not.
    let ended = futures::future::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(tests)).await;
    lab.tear_down().await;
    if let Err(panic) = ended {
        std::panic::resume_unwind(panic);
    }
}

struct Lab {
    client: Client,
    namespace: String,
    world: World,
    directory: tempfile::TempDir,
}

impl Lab {
    async fn set_up(client: Client) -> Self {
        let namespace = format!("launcher-test-{}", std::process::id());
        let lab = Self {
            client,
            namespace,
            world: World::start(),
            directory: tempfile::tempdir().unwrap(),
        };
        let setup = lab.run(None, &["render", "--flavor", "github", "--setup-only"]);
        lab.apply(&String::from_utf8(setup.stdout).unwrap(), false)
            .await;
        let rbac = std::fs::read_to_string(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../k8s/rbac/launcher.yaml"),
        )
        .unwrap();
        lab.apply(
            &rbac.replace(
                "namespace: ci-cd-agents",
                &format!("namespace: {}", lab.namespace),
            ),
            false,
        )
        .await;
        let token = lab.token("launcher").await;
        lab.write_kubeconfig("launcher", &token);
        let token = lab.token("launcher-gc").await;
        lab.write_kubeconfig("launcher-gc", &token);
        lab
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

    /// Applies a stream of objects, as an administrator.
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

    /// The administrator's kubeconfig with another user.
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
        // Files that it names may be relative to it.
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
            .env("GITHUB_SERVER_URL", self.world.github_server.url())
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
        until("the pod", async || {
            pods.list(&parameters)
                .await
                .unwrap()
                .items
                .into_iter()
                .next()
        })
        .await
    }

    /// In a kubelet's place: the pod's runner has ended.
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

    async fn every_overlay_is_taken_by_the_api_server(&self) {
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

    async fn a_launch_with_the_role_of_k8s_rbac_runs_to_its_end(&self) {
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
            "reason": "FailedMount", "message": "told by the test", "type": "Warning", "source": {"component": "kubelet"},
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
        let told = tokio::task::spawn_blocking(move || {
            let mut all = String::new();
            while !all.contains("told by the test") && stderr.read_line(&mut all).unwrap() > 0 {}
            (stderr, all)
        });
        let (_stderr, said) = told.await.unwrap();
        assert!(said.contains("FailedMount: told by the test"), "{said}");
        self.end("runner-whole", 102).await;
        let output = tokio::task::spawn_blocking(move || launched.wait_with_output().unwrap())
            .await
            .unwrap();
        assert_eq!(output.status.code(), Some(102), "{output:?}");
        let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(printed["outcome"]["report"]["exit_code"], 102);
    }

    async fn the_same_id_makes_no_second_job(&self) {
        let minted = self.world.github.minted();
        let again = self.launch("whole", &["--wait"]);
        assert_eq!(again.status.code(), Some(102), "{again:?}");
        assert_eq!(self.world.github.minted(), minted);
        // While it runs as well.
        assert_eq!(self.launch("twice", &[]).status.code(), Some(0));
        let again = self.launch("twice", &[]);
        let stdout = String::from_utf8_lossy(&again.stdout).into_owned();
        assert_eq!(stdout, "runner-twice  started-before\n", "{again:?}");
        assert_eq!(self.world.github.minted(), minted + 1);
    }

    async fn another_template_is_refused(&self) {
        let queue = [
            "--patch",
            "metadata: {labels: {kueue.x-k8s.io/queue-name: none}}",
        ];
        assert_eq!(self.launch("queued", &queue).status.code(), Some(0));
        let job: Job = self.api().get("runner-queued").await.unwrap();
        assert_eq!(job.spec.unwrap().suspend, Some(true));
        let other = [&queue[..], &["--patch", "spec: {backoffLimit: 0, template: {spec: {priorityClassName: x, containers: [{name: runner, image: other}]}}}"]].concat();
        let refused = self.launch("queued", &other);
        assert_eq!(refused.status.code(), Some(78), "{refused:?}");
    }

    async fn a_launch_that_fails_leaves_nothing(&self) {
        self.world.github_server.fail(
            "jitconfig",
            vec![fakes::server::Fault::Status(
                404,
                json!({"message": "Not Found"}),
                vec![],
            )],
        );
        let failed = self.launch("fails", &[]);
        self.world.github_server.no_faults();
        assert_eq!(failed.status.code(), Some(78), "{failed:?}");
        let jobs: Api<Job> = self.api();
        until("the Job's removal", async || {
            jobs.get_opt("runner-fails")
                .await
                .unwrap()
                .is_none()
                .then_some(())
        })
        .await;
    }

    async fn a_secret_goes_with_its_job(&self) {
        let jobs: Api<Job> = self.api();
        jobs.delete("runner-twice", &DeleteParams::background())
            .await
            .unwrap();
        let secrets: Api<Secret> = self.api();
        until("the Secret's removal", async || {
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

    async fn what_the_role_does_not_allow_is_refused(&self) {
        let refused = self.run(Some("launcher"), &["gc"]);
        assert_eq!(refused.status.code(), Some(77), "{refused:?}");
        assert!(
            String::from_utf8_lossy(&refused.stderr).contains("k8s/rbac"),
            "{refused:?}"
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

/// Waits for something that stays once it is so. The limit only ends a test that has failed.
async fn until<T>(what: &str, mut is: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = is().await {
            return found;
        }
        assert!(
            start.elapsed() < Duration::from_secs(120),
            "{what} never came to be"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
