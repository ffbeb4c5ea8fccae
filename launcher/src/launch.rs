//! One launch, start to end: the Job, its credential, the Secret, the start. Whatever fails, nothing half-done stays.

use crate::create::{Cluster, ClusterError, Placed, Stored};
use crate::id::{Id, Prefix};
use crate::render::{Blueprint, Flavor};
use crate::secret::Secret;
use crate::tokens::github::{Cause, Github, GithubError, Minted};

/// Where a job's credential comes from.
pub enum Source {
    /// GitHub makes one for each job.
    Github(Box<Github>),
    /// CircleCI's resource class has one, which goes into a Secret for each job.
    Token(Secret),
    /// A Secret that the admin made.
    Existing(String),
}

/// Launches jobs of one kind.
pub struct Launcher {
    /// Where they run.
    pub cluster: Cluster,
    /// What they are.
    pub blueprint: Blueprint,
    /// What their names begin with.
    pub prefix: Prefix,
    /// Which runner.
    pub flavor: Flavor,
    /// Their credentials.
    pub source: Source,
}

/// Why a launch failed.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// GitHub.
    #[error(transparent)]
    Github(#[from] GithubError),
    /// The cluster.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// GitHub has a runner of this name that is not this launch's.
    #[error(
        "a runner \"{name}\" is {state} at GitHub, and not from this cluster's Job: take another --id, or another --prefix where two clusters share a GitHub"
    )]
    Foreign {
        /// The name.
        name: String,
        /// `online` or `busy`.
        state: &'static str,
    },
    /// It failed, and so did taking it back.
    #[error("{failure} And this stays behind, for \"launcher gc\" or the same --id again: {left}")]
    Left {
        /// What failed first.
        failure: Box<LaunchError>,
        /// What could not be removed, and why.
        left: String,
    },
}

/// What a launch has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launched {
    /// The name of Job, Secret and runner.
    pub name: String,
    /// The id it was launched by.
    pub id: Id,
    /// Whether an earlier launch of the id had started it.
    pub resumed: bool,
}

impl Launcher {
    /// Launches a job, or finds that this id's has been.
    ///
    /// One launcher at a time may work on an id. With two at once there is still one job at most, which may fail.
    ///
    /// # Errors
    /// Where GitHub or the cluster refuses; then nothing of it stays, or the error says what does.
    pub async fn launch(&self, id: &Id) -> Result<Launched, LaunchError> {
        let name = self.prefix.name(id);
        let done = |resumed| Launched {
            name: name.clone(),
            id: id.clone(),
            resumed,
        };
        if let Source::Existing(secret) = &self.source {
            let job = self.blueprint.job(&self.prefix, id, Some(secret));
            self.cluster.apply_ready(&job).await?;
            return Ok(done(false));
        }
        let job = self.blueprint.job(&self.prefix, id, None);
        let uid = match self.cluster.apply_waiting(&job).await? {
            Placed::Started => return Ok(done(true)),
            Placed::Waiting { uid } => uid,
        };
        let mut runner = None;
        match self.equip_and_start(id, &name, &uid, &mut runner).await {
            Ok(()) => Ok(done(false)),
            Err(failure) => Err(self.undo(&name, &uid, runner, failure).await),
        }
    }

    /// Removes a job with all that it has, whether it has started or not.
    ///
    /// # Errors
    /// Where GitHub or the cluster refuses.
    pub async fn cancel(&self, id: &Id) -> Result<(), LaunchError> {
        let name = self.prefix.name(id);
        self.cluster.remove_job(&name, None).await?;
        self.remove_runner(&name).await?;
        Ok(())
    }

    async fn equip_and_start(
        &self,
        id: &Id,
        name: &str,
        uid: &str,
        runner: &mut Option<u64>,
    ) -> Result<(), LaunchError> {
        let value = match &self.source {
            Source::Github(github) => self.mint(github, name, uid).await?.map(|minted| {
                *runner = Some(minted.runner);
                minted.config
            }),
            Source::Token(token) => Some(token.clone()),
            Source::Existing(_) => None,
        };
        if let Some(value) = value {
            self.store(id, name, uid, &value).await?;
        }
        // Kueue starts its own, when there is room.
        if !self.blueprint.queued() {
            self.cluster.start(name, uid).await?;
        }
        Ok(())
    }

    /// A runner of this name, or none where an earlier launch's is stored already.
    async fn mint(
        &self,
        github: &Github,
        name: &str,
        uid: &str,
    ) -> Result<Option<Minted>, LaunchError> {
        let error = match github.mint(name).await {
            Ok(minted) => return Ok(Some(minted)),
            Err(error) => error,
        };
        if error.cause != Cause::Exists {
            return Err(error.into());
        }
        // An earlier launch of this id, or a request whose answer was lost, has registered it.
        if self.cluster.has_secret(name, uid).await? {
            return Ok(None);
        }
        if let Some(listed) = github.find(name).await? {
            if !listed.is_idle() {
                let state = if listed.busy { "busy" } else { "online" };
                let name = name.to_owned();
                return Err(LaunchError::Foreign { name, state });
            }
            github.remove(listed.id).await?;
        }
        Ok(Some(github.mint(name).await?))
    }

    /// Stores a credential. One of an earlier launch that is worth nothing any more makes room.
    async fn store(
        &self,
        id: &Id,
        name: &str,
        uid: &str,
        value: &Secret,
    ) -> Result<(), LaunchError> {
        let key = self.flavor.secret_key();
        let secret = self.blueprint.secret(&self.prefix, id, key, value);
        if self.cluster.apply_secret(&secret, uid).await? == Stored::Other {
            self.cluster.remove_secret(name).await?;
            self.cluster.apply_secret(&secret, uid).await?;
        }
        Ok(())
    }

    /// Takes back what a failed launch has done.
    async fn undo(
        &self,
        name: &str,
        uid: &str,
        runner: Option<u64>,
        failure: LaunchError,
    ) -> LaunchError {
        let mut left = Vec::new();
        if let Err(error) = self.take_back_runner(name, runner, &failure).await {
            left.push(error.to_string());
        }
        // Its Secret goes with it.
        if let Err(error) = self.cluster.remove_job(name, Some(uid)).await {
            left.push(error.to_string());
        }
        if left.is_empty() {
            return failure;
        }
        LaunchError::Left {
            failure: Box::new(failure),
            left: left.join("; "),
        }
    }

    async fn take_back_runner(
        &self,
        name: &str,
        runner: Option<u64>,
        failure: &LaunchError,
    ) -> Result<(), GithubError> {
        let doubtful = matches!(failure, LaunchError::Github(error)
            if error.cause.leaves_doubt() || error.cause == Cause::Exists);
        match (&self.source, runner) {
            (Source::Github(github), Some(runner)) => github.remove(runner).await,
            // GitHub may have registered it without our hearing of it.
            (Source::Github(_), None) if doubtful => self.remove_runner(name).await,
            _ => Ok(()),
        }
    }

    async fn remove_runner(&self, name: &str) -> Result<(), GithubError> {
        let Source::Github(github) = &self.source else {
            return Ok(());
        };
        match github.find(name).await? {
            // GitHub drops one whose job ends with its pod itself, and removes none before.
            Some(listed) if !listed.busy => github.remove(listed.id).await,
            _ => Ok(()),
        }
    }
}
