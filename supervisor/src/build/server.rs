//! `supervisor serve-builds`: PID 1 of the builder's container, from its first check to its wipe.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use tracing::{error, info, warn};

use super::children::Children;
use super::credentials::Credentials;
use super::isolation::{Isolation, Proof};
use super::paths::Workspace;
use super::reference::Reference;
use super::room::Rooms;
use super::session::trial;
use super::turns::Turns;
use super::{environment, identity, isolation, watch};
use crate::config::Config;
use crate::outcome::Failure;
use crate::secrets::{self, DOCKER_CONFIG, SecretsError};
use crate::workspace::{Private, WorkspaceError};
use crate::{storage, workspace};
use init::signals::Signals;
use init::{is_pid_1, survivors};
use linux::process::{self, Identity};
use report::{Reason, Report, Step};

/// What all sessions share.
#[derive(Debug)]
pub(super) struct Builder {
    pub(super) config: Config,
    pub(super) workspace: Workspace,
    pub(super) credentials: Credentials,
    pub(super) children: Arc<Children>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) turns: Turns,
    pub(super) rooms: Rooms,
    pub(super) clients: AtomicUsize,
    isolation: Proof,
}

impl Builder {
    /// How RUN steps are isolated: who asks first waits for the trials.
    pub(super) fn isolation(self: &Arc<Self>) -> Isolation {
        self.isolation.of(|isolation| trial::run(self, isolation))
    }

    /// What no process of Buildah sees.
    pub(super) fn hidden(&self) -> Vec<PathBuf> {
        let socket = self
            .config
            .builder
            .socket
            .parent()
            .unwrap_or(Path::new("/"));
        vec![self.config.secrets.directory.clone(), socket.to_owned()]
    }
}

/// Serves until SIGTERM, and returns the exit code of this process.
#[must_use]
pub fn serve(config: &Config) -> u8 {
    let mut report = Report::new(Some("builder"));
    let code = match start(config, &mut report) {
        Err(failure) => failed(failure, &mut report),
        Ok((signals, builder)) => {
            let served = watch::until_asked(&signals, &builder);
            report.isolation = builder
                .isolation
                .known()
                .map(|isolation| isolation.name().to_owned());
            builder.children.close();
            end(config, served, &mut report)
        }
    };
    report.exit_code = code;
    crate::publish::publish(&report, &config.report.file);
    code
}

fn failed(failure: Failure, report: &mut Report) -> u8 {
    error!("{failure}");
    let conclusion = crate::outcome::conclude(Step::Runner, &Err(failure), 0);
    report.reason = conclusion.reason;
    report.message = conclusion.message;
    conclusion.code
}

/// Nobody is let in any more, what runs is ended, and what it left is wiped. The workspace is the job's, which may still
/// run where the end was not asked for.
fn end(config: &Config, served: Result<(), Failure>, report: &mut Report) -> u8 {
    process::raise_nofile_limit();
    // A client finds nobody, rather than somebody who does not answer.
    let _ = std::fs::remove_file(&config.builder.socket);
    let survivors = survivors::end_all(Some(config.termination_grace_period));
    if !survivors.remaining.is_empty() {
        warn!(
            processes = survivors.remaining.join(", "),
            "could not be ended"
        );
    }
    let own = [
        config.runtime_directory.clone(),
        config.builder.volume.clone(),
    ];
    match served {
        Ok(()) => {
            report.message = Some("asked to end by SIGTERM".to_owned());
            let also = config.workspace.also_wipe.iter().cloned();
            let all = own.into_iter().chain([config.workspace.path.clone()]);
            wipe_all(config, &all.chain(also).collect::<Vec<_>>(), report)
        }
        Err(failure) => {
            wipe_all(config, &own, report);
            failed(failure, report)
        }
    }
}

fn wipe_all(config: &Config, roots: &[PathBuf], report: &mut Report) -> u8 {
    let began = Instant::now();
    let wiped = wipe::empty(&wipe::WipeRequest {
        paths: roots,
        files_first: &[],
        budget: config.wipe.budget,
        deadline: &|| None,
        before: None,
    })
    .report;
    report.add_duration(Step::Wipe, began.elapsed());
    report.reason = Reason::Completed;
    for leftover in &wiped.leftovers {
        warn!("left behind: {leftover}");
    }
    let left = wiped.leftover_count > 0;
    report.wiped = Some(wiped);
    if left {
        report.reason = Reason::Leftovers;
        return report::exit::WIPE;
    }
    0
}

fn start(config: &Config, report: &mut Report) -> Result<(Signals, Arc<Builder>), Failure> {
    let signals = Signals::block().map_err(Failure::kernel("signals cannot be read"))?;
    identity::take(config)?;
    process::set_undumpable().map_err(Failure::kernel("prctl(PR_SET_DUMPABLE)"))?;
    if !is_pid_1() {
        process::become_subreaper().map_err(Failure::kernel("prctl(PR_SET_CHILD_SUBREAPER)"))?;
    }
    Ok((signals, Arc::new(prepare(config, report)?)))
}

fn prepare(config: &Config, report: &mut Report) -> Result<Builder, Failure> {
    let own = config.of_builder();
    let private = Private::of(config);
    forget_policy(config);
    let workspace = Workspace::open(&config.workspace.path).map_err(|source| {
        storage::StorageError::from(WorkspaceError::Job {
            path: config.workspace.path.clone(),
            volume: config.workspace.path.clone(),
            uid: Identity::filesystem().uid,
            source,
        })
    })?;
    workspace::prepare(&own).map_err(storage::StorageError::from)?;
    let prepared = storage::prepare(&own, None)?;
    report.storage_driver = Some(prepared.driver.name().to_owned());
    private
        .directory("containers")
        .map_err(storage::StorageError::from)?;
    let rooms = Rooms::prepare(&config.runtime_directory, &config.builder.volume);
    let rooms = rooms.map_err(Failure::kernel(
        "the directories of operations, beneath runtime_directory and builder.volume",
    ))?;
    let credentials = credentials(config)?;
    info!(registries = credentials.count(), "registry credentials");
    let mut config = config.clone();
    config.storage.driver = prepared.driver;
    let cache = config.builder.cache.as_deref();
    let cache = cache.and_then(|cache| Reference::parse(cache).ok());
    if cache.is_some_and(|cache| !credentials.may_be_in_builds(&config, &cache)) {
        warn!(
            "builder.cache is left out: with fuse-overlayfs, a build could show its credentials to the job"
        );
    }
    Ok(Builder {
        workspace,
        credentials,
        children: Arc::default(),
        environment: environment::of_buildah(&config, &own, &prepared.environment),
        turns: Turns::new(config.builder.parallel.max(1)),
        rooms,
        clients: AtomicUsize::new(0),
        isolation: Proof::new(isolation::own_proc()),
        config,
    })
}

/// The policy's link is made anew where a builder that was killed has left it.
fn forget_policy(config: &Config) {
    let _ = std::fs::remove_file(
        config
            .of_builder()
            .workspace
            .home()
            .join(".config/containers"),
    );
}

fn credentials(config: &Config) -> Result<Credentials, SecretsError> {
    let store = secrets::look(config)?;
    let Some(secret) = store.get(DOCKER_CONFIG) else {
        return Ok(Credentials::default());
    };
    Credentials::of_builder(secret.expose())
        .map_err(|(line, column)| SecretsError::NotDockerConfig { line, column })
}
