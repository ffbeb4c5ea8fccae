//! A namespace of a real cluster, a fake GitHub, and the launcher's program with kubeconfigs for its accounts.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use fake_apis::FakeApis;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch,
    PatchParams, PostParams,
};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use test_support::Patience;

/// A patch for pods that no node can take.
const NOWHERE: &str = "spec: {template: {spec: {nodeSelector: {ci-cd-agents/none: here}}}}";

pub struct Fixture {
    pub client: Client,
    pub namespace: String,
    pub apis: FakeApis,
    pub directory: tempfile::TempDir,
}

impl Fixture {
    pub async fn set_up(client: Client) -> Self {
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

    pub async fn tear_down(&self) {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let _ = namespaces
            .delete(&self.namespace, &DeleteParams::background())
            .await;
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Applies a stream of objects as an administrator.
    pub async fn apply(&self, yaml: &str, dry: bool) {
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

    pub async fn token(&self, account: &str) -> String {
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
    pub fn write_kubeconfig(&self, account: &str, token: &str) {
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

    pub fn command(&self, account: Option<&str>, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_launcher"));
        command
            .args(arguments)
            .env("GITHUB_SERVER_URL", self.apis.github_server.url())
            .env("GITHUB_TOKEN", fake_apis::github::TOKEN)
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

    pub fn run(&self, account: Option<&str>, arguments: &[&str]) -> Output {
        let output = self.command(account, arguments).output().unwrap();
        println!(
            "cluster: launcher {}: {:?}",
            arguments.join(" "),
            output.status.code()
        );
        output
    }

    pub fn launch(&self, id: &str, more: &[&str]) -> Output {
        self.run(Some("launcher"), &launch(id, more))
    }

    pub async fn pod_of(&self, job: &str) -> Pod {
        let pods: Api<Pod> = self.api();
        let parameters =
            ListParams::default().labels(&format!("batch.kubernetes.io/job-name={job}"));
        eventually("the pod", async || {
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
    pub async fn end(&self, job: &str, code: u8) {
        let pod = self.pod_of(job).await.name_any();
        let ended = json!({"exitCode": code, "reason": "Completed", "message": fake_apis::kube::report(code), "startedAt": now(), "finishedAt": now()});
        let status = json!({"name": "runner", "image": "x", "imageID": "x", "ready": false, "restartCount": 0, "state": {"terminated": ended}});
        let phase = if code == 0 { "Succeeded" } else { "Failed" };
        let patch = json!({"status": {"phase": phase, "containerStatuses": [status]}});
        let pods: Api<Pod> = self.api();
        pods.patch_status(&pod, &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .unwrap();
    }
}

pub fn launch<'a>(id: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec![
        "launch", "--flavor", "github", "--repo", "octo/cat", "--patch", NOWHERE, "--id", id,
    ];
    all.extend_from_slice(more);
    all
}

fn now() -> String {
    fake_apis::kube_store::now()
}

/// The same as [`test_support::eventually`], for attempts that are requests.
pub async fn eventually<T>(what: &str, mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    let mut patience = Patience::default();
    loop {
        if let Some(value) = attempt().await {
            return value;
        }
        let Some(pause) = patience.pause() else {
            panic!("waited in vain for {what}");
        };
        tokio::time::sleep(pause).await;
    }
}
