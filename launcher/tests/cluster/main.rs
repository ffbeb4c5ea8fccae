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

mod fixture;

use std::io::BufRead as _;

use fixture::{Fixture, eventually, launch};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Secret};
use kube::api::{Api, DeleteParams, PostParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

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

impl Fixture {
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
            vec![fake_apis::server::Fault::Status(
                404,
                json!({"message": "Not Found"}),
                vec![],
            )],
        );
        let failed = self.launch("fails", &[]);
        self.apis.github_server.clear_faults();
        assert_eq!(failed.status.code(), Some(78), "{failed:?}");
        let jobs: Api<Job> = self.api();
        eventually("the Job's removal", async || {
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
        eventually("the Secret's removal", async || {
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
