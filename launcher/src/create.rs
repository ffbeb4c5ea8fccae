//! Creates a launch's objects in Kubernetes: the Job, its Secret and its start. Each request is idempotent.
//!
//! A Job that needs its own Secret is applied suspended. The Secret is applied with the Job as its owner. A second field
//! manager then starts the Job. So no Secret exists without its Job, and no pod waits for its Secret. If a started Job is
//! applied again, the API server reports a conflict about `spec.suspend`, so no further request is needed to find that out.

mod error;

use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, Preconditions};
use kube::config::{Config, KubeConfigOptions};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use crate::render::labels::managed_by_launcher;

pub use error::{ClusterError, ClusterErrorKind};

/// The field manager of everything that a launch applies, except `spec.suspend` of a started Job.
const FIELD_MANAGER: &str = "ci-cd-agents-launcher";
/// The field manager of `spec.suspend` once a Job is started.
const START_FIELD_MANAGER: &str = "ci-cd-agents-launcher-start";
/// The time limit of one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_ATTEMPTS: u32 = 5;
/// The pause after the first failed attempt. Each further pause is twice as long.
const INITIAL_BACKOFF: Duration = Duration::from_millis(200);

/// A client for one namespace of a cluster.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    namespace: String,
}

/// The state of a Job after [`Cluster::apply_suspended`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AppliedJob {
    /// The Job is suspended. This request created it, or an earlier launch of the same id that stopped halfway.
    Suspended {
        /// The Job's uid, for the Secret's owner reference.
        uid: String,
    },
    /// An earlier launch of the same id started the Job.
    Started,
}

/// The state of a Secret after [`Cluster::apply_secret`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AppliedSecret {
    /// The cluster has the Secret with this value.
    Stored,
    /// The cluster has an immutable Secret of this name with a different value.
    Differs,
}

impl Cluster {
    /// Connects to a context of the kubeconfig. `None` is the current context, or this pod's own cluster if there is no
    /// kubeconfig.
    ///
    /// # Errors
    /// If neither exists, or if the kubeconfig has no such context.
    pub async fn connect(context: Option<&str>, namespace: &str) -> Result<Self, ClusterError> {
        // Fails if the program has installed a provider already; that one serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut config = match context {
            Some(context) => {
                let options = KubeConfigOptions {
                    context: Some(context.to_owned()),
                    ..KubeConfigOptions::default()
                };
                let config = Config::from_kubeconfig(&options).await;
                config.map_err(|error| ClusterError::config(&error))?
            }
            None => Config::infer()
                .await
                .map_err(|error| ClusterError::config(&error))?,
        };
        // This module retries its requests, and the watcher retries its lists. A retry beneath the watcher would hide when
        // a list began, and `follow` compares that with when a Job was created.
        config.default_retry = false;
        apply_no_proxy(&mut config);
        let client = Client::try_from(config).map_err(|error| ClusterError::config(&error))?;
        Ok(Self::new(client, namespace))
    }

    /// Uses a given client. Its `Config::default_retry` must be false, see [`Cluster::connect`].
    #[must_use]
    pub fn new(client: Client, namespace: &str) -> Self {
        Self {
            client,
            namespace: namespace.to_owned(),
        }
    }

    /// Returns the namespace's name.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Applies a Job in the suspended state, to be started once its Secret is stored.
    ///
    /// # Errors
    /// If the API server rejects the Job or is unreachable, or if the id's Job was created from a different template.
    pub(crate) async fn apply_suspended(&self, job: &Value) -> Result<AppliedJob, ClusterError> {
        let mut suspended = job.clone();
        suspended["spec"]["suspend"] = true.into();
        match self
            .apply::<Job>(FIELD_MANAGER, false, "applying the Job", &suspended)
            .await
        {
            Ok(job) => Ok(AppliedJob::Suspended {
                uid: job.uid().unwrap_or_default(),
            }),
            Err(error) if error.is_started() => Ok(AppliedJob::Started),
            Err(error) => Err(error),
        }
    }

    /// Applies a Job that starts at once, because it needs no Secret of its own.
    ///
    /// # Errors
    /// As [`Cluster::apply_suspended`].
    pub(crate) async fn apply_job(&self, job: &Value) -> Result<(), ClusterError> {
        self.apply::<Job>(FIELD_MANAGER, false, "applying the Job", job)
            .await
            .map(|_| ())
    }

    /// Applies a Secret whose owner is the Job with the uid `owner`. Kubernetes deletes it together with the Job.
    ///
    /// # Errors
    /// If the API server rejects the Secret or is unreachable.
    pub(crate) async fn apply_secret(
        &self,
        secret: &Value,
        owner: &str,
    ) -> Result<AppliedSecret, ClusterError> {
        let mut owned = secret.clone();
        owned["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "batch/v1",
            "kind": "Job",
            "name": secret["metadata"]["name"],
            "uid": owner,
        }]);
        match self
            .apply::<Secret>(FIELD_MANAGER, false, "applying the Secret", &owned)
            .await
        {
            Ok(_) => Ok(AppliedSecret::Stored),
            Err(error) if error.kind == ClusterErrorKind::Immutable => Ok(AppliedSecret::Differs),
            Err(error) => Err(error),
        }
    }

    /// Starts the suspended Job with this name and uid.
    ///
    /// # Errors
    /// If the API server rejects the request or is unreachable, or if the Job was deleted.
    pub(crate) async fn start(&self, name: &str, uid: &str) -> Result<(), ClusterError> {
        let start = json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name, "namespace": self.namespace, "uid": uid},
            "spec": {"suspend": false},
        });
        self.apply::<Job>(START_FIELD_MANAGER, true, "starting the Job", &start)
            .await
            .map(|_| ())
    }

    /// Returns whether the Secret `name` exists and the Job with the uid `owner` owns it.
    ///
    /// # Errors
    /// If the API server rejects the request or is unreachable.
    pub(crate) async fn has_secret(&self, name: &str, owner: &str) -> Result<bool, ClusterError> {
        let api: Api<Secret> = self.api();
        let operation = format!("looking for the Secret \"{name}\"");
        let found = self
            .with_retries(&operation, || api.get_metadata_opt(name))
            .await?;
        // The Secret of an earlier Job with the same name is about to be deleted with that Job.
        Ok(found.is_some_and(|secret| {
            secret
                .owner_references()
                .iter()
                .any(|reference| reference.uid == owner)
        }))
    }

    /// Deletes a Secret. A missing Secret is not an error.
    ///
    /// # Errors
    /// If the API server rejects the request or is unreachable.
    pub(crate) async fn remove_secret(&self, name: &str) -> Result<(), ClusterError> {
        let api: Api<Secret> = self.api();
        let operation = format!("removing the Secret \"{name}\"");
        let parameters = DeleteParams::default();
        ignore_not_found(
            self.with_retries(&operation, || api.delete(name, &parameters))
                .await
                .map(|_| ()),
        )
    }

    /// Deletes a Job with its pod and Secret. If a uid is given, a Job with another uid is not deleted. A missing Job is
    /// not an error.
    ///
    /// # Errors
    /// If the API server rejects the request or is unreachable.
    pub(crate) async fn remove_job(
        &self,
        name: &str,
        uid: Option<&str>,
    ) -> Result<(), ClusterError> {
        let api: Api<Job> = self.api();
        let operation = format!("removing the Job \"{name}\"");
        let mut parameters = DeleteParams::background();
        parameters.preconditions = uid.map(|uid| Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: None,
        });
        ignore_not_found(
            self.with_retries(&operation, || api.delete(name, &parameters))
                .await
                .map(|_| ()),
        )
    }

    /// Lists the Jobs that a launcher created.
    ///
    /// # Errors
    /// If the API server rejects the request or is unreachable.
    pub(crate) async fn jobs(&self) -> Result<Vec<Job>, ClusterError> {
        let api: Api<Job> = self.api();
        let parameters = ListParams::default().labels(&managed_by_launcher());
        let list = self
            .with_retries("listing the Jobs", || api.list(&parameters))
            .await?;
        Ok(list.items)
    }

    /// Lists the metadata of the Secrets that a launcher created. Their values are not read.
    ///
    /// # Errors
    /// If the API server rejects the request or is unreachable.
    pub(crate) async fn secrets(
        &self,
    ) -> Result<Vec<kube::core::PartialObjectMeta<Secret>>, ClusterError> {
        let api: Api<Secret> = self.api();
        let parameters = ListParams::default().labels(&managed_by_launcher());
        let list = self
            .with_retries("listing the Secrets", || api.list_metadata(&parameters))
            .await?;
        Ok(list.items)
    }

    async fn apply<K>(
        &self,
        manager: &str,
        force: bool,
        operation: &str,
        object: &Value,
    ) -> Result<K, ClusterError>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned,
        K::DynamicType: Default,
    {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let api: Api<K> = self.api();
        // A field that the API server does not know is a mistake in a patch: reject it rather than drop it.
        let mut parameters = PatchParams::apply(manager).validation_strict();
        parameters.force = force;
        let patch = Patch::Apply(object);
        let operation = format!("{operation} \"{name}\"");
        self.with_retries(&operation, || api.patch(name, &parameters, &patch))
            .await
    }

    /// Sends a request up to five times. Every request here may be repeated, because it states the wanted result.
    async fn with_retries<T, F>(
        &self,
        operation: &str,
        request: impl Fn() -> F,
    ) -> Result<T, ClusterError>
    where
        F: Future<Output = Result<T, kube::Error>>,
    {
        let mut number = 0;
        loop {
            let error = match tokio::time::timeout(REQUEST_TIMEOUT, request()).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(error)) => ClusterError::rejected(operation, &self.namespace, &error),
                Err(_) => ClusterError::timed_out(operation, REQUEST_TIMEOUT),
            };
            number += 1;
            if !error.is_transient() || number == MAX_ATTEMPTS {
                return Err(error);
            }
            tracing::warn!("{}: {}; trying again", error.operation, error.message);
            tokio::time::sleep(INITIAL_BACKOFF * 2_u32.pow(number - 1)).await;
        }
    }
}

/// Applies `NO_PROXY`. kube uses `HTTPS_PROXY` if the kubeconfig names no proxy, but ignores `NO_PROXY`.
fn apply_no_proxy(config: &mut Config) {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let from_environment = set("HTTPS_PROXY").or_else(|| set("https_proxy"));
    let taken = from_environment
        .and_then(|proxy| proxy.parse().ok())
        .is_some_and(|proxy| config.proxy_url == Some(proxy));
    // kube ignores the scheme of the address too.
    let host = config
        .cluster_url
        .authority()
        .map(|host| format!("https://{host}").parse());
    let Some(Ok(url)) = host else { return };
    if taken && Matcher::from_env().intercept(&url).is_none() {
        config.proxy_url = None;
    }
}

fn ignore_not_found(result: Result<(), ClusterError>) -> Result<(), ClusterError> {
    match result {
        Err(error) if error.kind == ClusterErrorKind::NotFound => Ok(()),
        other => other,
    }
}
