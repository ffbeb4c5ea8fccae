//! Kubernetes: the Job, its Secret and its start, each an idempotent request.
//!
//! A Job that needs a Secret of its own is applied suspended, the Secret is applied with the Job as its owner, and another
//! field manager starts the Job. So the Secret is never there without the Job nor the pod without the Secret, and to apply
//! the Job again once it is started is a conflict, which tells so without another request.

pub(crate) mod error;

use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, Preconditions};
use kube::config::{Config, KubeConfigOptions};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

pub use error::{Cause, ClusterError};

/// Owns what a launch applies.
pub const MANAGER: &str = "ci-cd-agents-launcher";
/// Owns `spec.suspend` of a Job from its start on.
const STARTER: &str = "ci-cd-agents-launcher-start";
/// For the answer to one request.
const ANSWER: Duration = Duration::from_secs(30);
const ATTEMPTS: u32 = 5;
/// The first pause after trouble; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(200);

/// A namespace of a cluster.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    namespace: String,
}

/// What applying a Job found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placed {
    /// It is there and waits, made now or by an earlier launch of the same id that did not come to its end.
    Waiting {
        /// Its uid, for the Secret's owner.
        uid: String,
    },
    /// It was started before.
    Started,
}

/// What applying a Secret found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It is there, with this value.
    Here,
    /// Another one of the name is there, with another value.
    Other,
}

impl Cluster {
    /// The cluster that the kubeconfig names, or the one around this pod.
    ///
    /// # Errors
    /// Where neither is there, or the kubeconfig has no such context.
    pub async fn connect(context: Option<&str>, namespace: &str) -> Result<Self, ClusterError> {
        // Fails where there is one already, which is as good.
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
        // Each request is tried again here, and each list by the watcher: retries beneath them would hide when a list began.
        config.default_retry = false;
        heed_no_proxy(&mut config);
        let client = Client::try_from(config).map_err(|error| ClusterError::config(&error))?;
        Ok(Self::new(client, namespace))
    }

    /// A namespace by a client of one's own, which must not retry by itself (`Config::default_retry`).
    #[must_use]
    pub fn new(client: Client, namespace: &str) -> Self {
        Self {
            client,
            namespace: namespace.to_owned(),
        }
    }

    /// The namespace.
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

    /// Applies a Job that waits for its Secret.
    ///
    /// # Errors
    /// Where the API server refuses or is not there, or the id's Job is another one.
    pub async fn apply_waiting(&self, job: &Value) -> Result<Placed, ClusterError> {
        let mut waiting = job.clone();
        waiting["spec"]["suspend"] = true.into();
        match self
            .apply::<Job>(MANAGER, false, "applying the Job", &waiting)
            .await
        {
            Ok(job) => Ok(Placed::Waiting {
                uid: job.uid().unwrap_or_default(),
            }),
            Err(error) if error.is_started() => Ok(Placed::Started),
            Err(error) => Err(error),
        }
    }

    /// Applies a Job that needs no Secret of its own, so that it may start at once.
    ///
    /// # Errors
    /// As [`Cluster::apply_waiting`].
    pub async fn apply_ready(&self, job: &Value) -> Result<(), ClusterError> {
        self.apply::<Job>(MANAGER, false, "applying the Job", job)
            .await
            .map(|_| ())
    }

    /// Applies a Secret that its Job owns, and that is removed with it.
    ///
    /// # Errors
    /// Where the API server refuses or is not there.
    pub async fn apply_secret(&self, secret: &Value, owner: &str) -> Result<Stored, ClusterError> {
        let mut owned = secret.clone();
        owned["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "batch/v1",
            "kind": "Job",
            "name": secret["metadata"]["name"],
            "uid": owner,
        }]);
        match self
            .apply::<Secret>(MANAGER, false, "applying the Secret", &owned)
            .await
        {
            Ok(_) => Ok(Stored::Here),
            Err(error) if error.cause == Cause::Immutable => Ok(Stored::Other),
            Err(error) => Err(error),
        }
    }

    /// Starts a Job.
    ///
    /// # Errors
    /// Where the API server refuses or is not there, or the Job is gone.
    pub async fn start(&self, name: &str, uid: &str) -> Result<(), ClusterError> {
        let start = json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name, "namespace": self.namespace, "uid": uid},
            "spec": {"suspend": false},
        });
        self.apply::<Job>(STARTER, true, "starting the Job", &start)
            .await
            .map(|_| ())
    }

    /// Whether a Job has its Secret.
    ///
    /// # Errors
    /// Where the API server refuses or is not there.
    pub async fn has_secret(&self, name: &str, owner: &str) -> Result<bool, ClusterError> {
        let api: Api<Secret> = self.api();
        let what = format!("looking for the Secret \"{name}\"");
        let found = self.patiently(&what, || api.get_metadata_opt(name)).await?;
        // An earlier Job's of the same name is about to go with it.
        Ok(found.is_some_and(|secret| {
            secret
                .owner_references()
                .iter()
                .any(|reference| reference.uid == owner)
        }))
    }

    /// Removes a Secret. One that is gone is no error.
    ///
    /// # Errors
    /// Where the API server refuses or is not there.
    pub async fn remove_secret(&self, name: &str) -> Result<(), ClusterError> {
        let api: Api<Secret> = self.api();
        let what = format!("removing the Secret \"{name}\"");
        let parameters = DeleteParams::default();
        gone(
            self.patiently(&what, || api.delete(name, &parameters))
                .await
                .map(|_| ()),
        )
    }

    /// Removes a Job with its pod and Secret: that of this uid alone, if one is given. One that is gone is no error.
    ///
    /// # Errors
    /// Where the API server refuses or is not there.
    pub async fn remove_job(&self, name: &str, uid: Option<&str>) -> Result<(), ClusterError> {
        let api: Api<Job> = self.api();
        let what = format!("removing the Job \"{name}\"");
        let mut parameters = DeleteParams::background();
        parameters.preconditions = uid.map(|uid| Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: None,
        });
        gone(
            self.patiently(&what, || api.delete(name, &parameters))
                .await
                .map(|_| ()),
        )
    }

    /// All Jobs of launches.
    ///
    /// # Errors
    /// Where the API server refuses or is not there.
    pub async fn jobs(&self) -> Result<Vec<Job>, ClusterError> {
        let api: Api<Job> = self.api();
        let parameters = ListParams::default().labels(&crate::follow::selector());
        let list = self
            .patiently("listing the Jobs", || api.list(&parameters))
            .await?;
        Ok(list.items)
    }

    /// The names and ages of all Secrets of launches, without their values.
    ///
    /// # Errors
    /// Where the API server refuses or is not there.
    pub async fn secrets(
        &self,
    ) -> Result<Vec<kube::core::PartialObjectMeta<Secret>>, ClusterError> {
        let api: Api<Secret> = self.api();
        let parameters = ListParams::default().labels(&crate::follow::selector());
        let list = self
            .patiently("listing the Secrets", || api.list_metadata(&parameters))
            .await?;
        Ok(list.items)
    }

    async fn apply<K>(
        &self,
        manager: &str,
        force: bool,
        what: &str,
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
        // What the API server does not know is a mistake in a patch, and no reason to go on without it.
        let mut parameters = PatchParams::apply(manager).validation_strict();
        parameters.force = force;
        let patch = Patch::Apply(object);
        let what = format!("{what} \"{name}\"");
        self.patiently(&what, || api.patch(name, &parameters, &patch))
            .await
    }

    /// Each of these requests may be made again: what it asks for is a state.
    async fn patiently<T, F>(&self, what: &str, request: impl Fn() -> F) -> Result<T, ClusterError>
    where
        F: Future<Output = Result<T, kube::Error>>,
    {
        let mut number = 0;
        loop {
            let error = match tokio::time::timeout(ANSWER, request()).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => ClusterError::refused(what, &self.namespace, &error),
                Err(_) => ClusterError::late(what, ANSWER),
            };
            number += 1;
            if !error.passes() || number == ATTEMPTS {
                return Err(error);
            }
            tracing::warn!("{}: {}; asking again", error.what, error.said);
            tokio::time::sleep(PAUSE * 2_u32.pow(number - 1)).await;
        }
    }
}

/// kube takes HTTPS_PROXY for the cluster's proxy where the kubeconfig names none, and knows no NO_PROXY.
fn heed_no_proxy(config: &mut Config) {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let general = set("HTTPS_PROXY").or_else(|| set("https_proxy"));
    let taken = general
        .and_then(|proxy| proxy.parse().ok())
        .is_some_and(|proxy| config.proxy_url == Some(proxy));
    // As kube does, whatever the scheme.
    let host = config
        .cluster_url
        .authority()
        .map(|host| format!("https://{host}").parse());
    let Some(Ok(url)) = host else { return };
    if taken && Matcher::from_env().intercept(&url).is_none() {
        config.proxy_url = None;
    }
}

fn gone(result: Result<(), ClusterError>) -> Result<(), ClusterError> {
    match result {
        Err(error) if error.cause == Cause::NotFound => Ok(()),
        other => other,
    }
}
