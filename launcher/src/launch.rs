//! One launch from start to end: the Job, its credential, the Secret, the start. A failed launch is rolled back.

use crate::create::{AppliedJob, AppliedSecret, Cluster, ClusterError};
use crate::id::{Id, Prefix};
use crate::render::{Flavor, Renderer};
use crate::secret::Secret;
use crate::tokens::github::{Github, GithubError, GithubErrorKind, RegisteredRunner};

/// The source of a job's credential.
pub enum CredentialSource {
    /// GitHub issues a just-in-time configuration for each job.
    Github(Box<Github>),
    /// The token of a CircleCI resource class. Each job gets a Secret with it.
    Token(Secret),
    /// A Secret that an administrator created. It is not changed.
    Existing(String),
}

/// Launches jobs of one flavor from one template.
pub struct Launcher {
    /// The cluster and namespace of the jobs.
    pub cluster: Cluster,
    /// Renders the jobs' objects.
    pub renderer: Renderer,
    /// The prefix of the jobs' names.
    pub prefix: Prefix,
    /// The CI vendor's runner.
    pub flavor: Flavor,
    /// The source of the jobs' credentials.
    pub credentials: CredentialSource,
}

/// A failed launch.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// A request to GitHub failed.
    #[error(transparent)]
    Github(#[from] GithubError),
    /// A request to the cluster failed.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// GitHub has a runner of this name that belongs to another launch.
    #[error(
        "GitHub already has {state} runner \"{name}\" that no Job in this cluster owns: choose another --id, or another --prefix if two clusters share a GitHub organisation"
    )]
    NameTaken {
        /// The runner's name.
        name: String,
        /// `an online` or `a busy`.
        state: &'static str,
    },
    /// The launch failed, and so did its rollback.
    #[error(
        "{failure} The rollback failed too; run \"launcher gc\" or the same --id again: {leftovers}"
    )]
    RollbackFailed {
        /// The first failure.
        failure: Box<LaunchError>,
        /// The errors of the requests that should have removed the rest.
        leftovers: String,
    },
}

/// A finished launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launched {
    /// The name of the Job, its Secret and its runner.
    pub name: String,
    /// The launch's id.
    pub id: Id,
    /// Whether an earlier launch of this id had already started the Job.
    pub resumed: bool,
}

impl Launcher {
    /// Launches the job of this id. If an earlier launch started it, nothing is sent but one request.
    ///
    /// Only one launcher at a time may work on an id. Two at once still make at most one job, but that job may fail.
    ///
    /// # Errors
    /// If a request to GitHub or to the cluster fails. The launch is then rolled back. If the rollback fails too, the error
    /// names what remains.
    pub async fn launch(&self, id: &Id) -> Result<Launched, LaunchError> {
        let name = self.prefix.name(id);
        let done = |resumed| Launched {
            name: name.clone(),
            id: id.clone(),
            resumed,
        };
        if let CredentialSource::Existing(secret) = &self.credentials {
            let job = self.renderer.job(&self.prefix, id, Some(secret));
            self.cluster.apply_job(&job).await?;
            return Ok(done(false));
        }
        let job = self.renderer.job(&self.prefix, id, None);
        let uid = match self.cluster.apply_suspended(&job).await? {
            AppliedJob::Started => return Ok(done(true)),
            AppliedJob::Suspended { uid } => uid,
        };
        let mut runner = None;
        match self.provision_and_start(id, &name, &uid, &mut runner).await {
            Ok(()) => Ok(done(false)),
            Err(failure) => Err(self.roll_back(&name, &uid, runner, failure).await),
        }
    }

    /// Deletes a job's Job, Secret and pod, and removes its runner at GitHub. The job may be running.
    ///
    /// # Errors
    /// If a request to GitHub or to the cluster fails.
    pub async fn cancel(&self, id: &Id) -> Result<(), LaunchError> {
        let name = self.prefix.name(id);
        self.cluster.remove_job(&name, None).await?;
        self.remove_runner(&name).await?;
        Ok(())
    }

    /// Registers a runner, stores its credential and starts the Job. `runner` receives the registered runner's id, so that
    /// a rollback can remove it.
    async fn provision_and_start(
        &self,
        id: &Id,
        name: &str,
        uid: &str,
        runner: &mut Option<u64>,
    ) -> Result<(), LaunchError> {
        let value = match &self.credentials {
            CredentialSource::Github(github) => {
                self.register_runner(github, name, uid)
                    .await?
                    .map(|registered| {
                        *runner = Some(registered.id);
                        registered.jit_config
                    })
            }
            CredentialSource::Token(token) => Some(token.clone()),
            CredentialSource::Existing(_) => None,
        };
        if let Some(value) = value {
            self.store_secret(id, name, uid, &value).await?;
        }
        // Kueue starts a queued Job itself, once its quota has room.
        if !self.renderer.queued() {
            self.cluster.start(name, uid).await?;
        }
        Ok(())
    }

    /// Registers a runner with this name, or returns `None` if the Job has its Secret already.
    async fn register_runner(
        &self,
        github: &Github,
        name: &str,
        uid: &str,
    ) -> Result<Option<RegisteredRunner>, LaunchError> {
        let error = match github.register_runner(name).await {
            Ok(registered) => return Ok(Some(registered)),
            Err(error) => error,
        };
        if error.kind != GithubErrorKind::Exists {
            return Err(error.into());
        }
        // An earlier launch of this id registered the runner, or a request whose response was lost.
        if self.cluster.has_secret(name, uid).await? {
            return Ok(None);
        }
        if let Some(listed) = github.find(name).await? {
            if !listed.is_idle() {
                let state = if listed.busy { "a busy" } else { "an online" };
                let name = name.to_owned();
                return Err(LaunchError::NameTaken { name, state });
            }
            github.remove(listed.id).await?;
        }
        Ok(Some(github.register_runner(name).await?))
    }

    /// Stores a credential. It replaces an earlier launch's, which is no longer valid.
    async fn store_secret(
        &self,
        id: &Id,
        name: &str,
        uid: &str,
        value: &Secret,
    ) -> Result<(), LaunchError> {
        let key = self.flavor.secret_key();
        let secret = self.renderer.secret(&self.prefix, id, key, value);
        if self.cluster.apply_secret(&secret, uid).await? == AppliedSecret::Differs {
            self.cluster.remove_secret(name).await?;
            self.cluster.apply_secret(&secret, uid).await?;
        }
        Ok(())
    }

    /// Removes what a failed launch created.
    async fn roll_back(
        &self,
        name: &str,
        uid: &str,
        runner: Option<u64>,
        failure: LaunchError,
    ) -> LaunchError {
        let mut leftovers = Vec::new();
        if let Err(error) = self.roll_back_runner(name, runner, &failure).await {
            leftovers.push(error.to_string());
        }
        // Kubernetes deletes the Secret together with the Job.
        if let Err(error) = self.cluster.remove_job(name, Some(uid)).await {
            leftovers.push(error.to_string());
        }
        if leftovers.is_empty() {
            return failure;
        }
        LaunchError::RollbackFailed {
            failure: Box::new(failure),
            leftovers: leftovers.join("; "),
        }
    }

    async fn roll_back_runner(
        &self,
        name: &str,
        runner: Option<u64>,
        failure: &LaunchError,
    ) -> Result<(), GithubError> {
        let maybe_registered = matches!(failure, LaunchError::Github(error)
            if error.kind.may_have_succeeded() || error.kind == GithubErrorKind::Exists);
        match (&self.credentials, runner) {
            (CredentialSource::Github(github), Some(runner)) => github.remove(runner).await,
            // GitHub may have registered the runner although no valid response arrived.
            (CredentialSource::Github(_), None) if maybe_registered => {
                self.remove_runner(name).await
            }
            _ => Ok(()),
        }
    }

    async fn remove_runner(&self, name: &str) -> Result<(), GithubError> {
        let CredentialSource::Github(github) = &self.credentials else {
            return Ok(());
        };
        match github.find(name).await? {
            // GitHub refuses to remove a busy runner, and removes it by itself after its job.
            Some(listed) if !listed.busy => github.remove(listed.id).await,
            _ => Ok(()),
        }
    }
}
