//! `supervisor serve-builds`: PID 1 of the builder's container, from its first check to its wipe.

use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tracing::{error, info, warn};

use super::children::Children;
use super::credentials::Credentials;
use super::isolation::{Isolation, Proof};
use super::paths::Workspace;
use super::reference::Reference;
use super::session::trial;
use super::turns::Turns;
use super::{door, environment, isolation};
use crate::config::Config;
use crate::init::signals::{Meaning, Signals};
use crate::init::{is_pid_1, survivors};
use crate::outcome::Failure;
use crate::report::{Reason, Report, Step};
use crate::secrets::{self, DOCKER_CONFIG, SecretsError};
use crate::sys::process;
use crate::workspace::{Private, WorkspaceError};
use crate::{storage, wipe, workspace};

/// What all sessions share.
#[derive(Debug)]
pub(super) struct Builder {
    pub(super) config: Config,
    pub(super) workspace: Workspace,
    pub(super) credentials: Credentials,
    pub(super) children: Children,
    pub(super) environment: Vec<(String, String)>,
    pub(super) turns: Turns,
    numbers: AtomicU64,
    pub(super) clients: AtomicUsize,
    isolation: Proof,
}

impl Builder {
    /// A number that no operation had.
    pub(super) fn next(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

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
    let served = run(config, &mut report);
    let survivors = survivors::end_all(Some(config.termination_grace_period));
    if !survivors.remaining.is_empty() {
        warn!(
            processes = survivors.remaining.join(", "),
            "could not be ended"
        );
    }
    let own = config.of_builder();
    let code = match &served {
        Ok(()) => {
            report.message = Some("asked to end by SIGTERM".to_owned());
            wipe_all(config, &own, &mut report)
        }
        Err(failure) => {
            error!("{failure}");
            let conclusion = crate::outcome::conclude(Step::Runner, &Err(failed(failure)), 0);
            report.reason = conclusion.reason;
            report.message = conclusion.message;
            conclusion.code
        }
    };
    report.exit_code = code;
    report.publish(&config.report.file);
    code
}

/// The report's words are made from the failure once more, since it holds what cannot be copied.
fn failed(failure: &Failure) -> Failure {
    match failure {
        Failure::Kernel { what, source } => Failure::Kernel {
            what,
            source: std::io::Error::other(source.to_string()),
        },
        other => Failure::Kernel {
            what: "the builder",
            source: std::io::Error::other(other.to_string()),
        },
    }
}

fn wipe_all(config: &Config, own: &Config, report: &mut Report) -> u8 {
    let began = Instant::now();
    let roots = [
        config.runtime_directory.clone(),
        own.workspace.path.clone(),
        config.workspace.path.clone(),
    ];
    let wiped = wipe::empty(&wipe::Emptying {
        paths: &roots,
        files_first: &[],
        budget: config.wipe.budget,
        hurry: &|| None,
        before: None,
    })
    .wiped;
    report.took(Step::Wipe, began.elapsed());
    report.reason = Reason::Completed;
    for leftover in &wiped.leftovers {
        warn!("left behind: {leftover}");
    }
    let left = wiped.leftover_count > 0;
    report.wiped = Some(wiped);
    if left {
        report.reason = Reason::Leftovers;
        return crate::exit::WIPE;
    }
    0
}

fn run(config: &Config, report: &mut Report) -> Result<(), Failure> {
    let kernel = |what| {
        move |errno: Errno| Failure::Kernel {
            what,
            source: errno.into(),
        }
    };
    let signals = Signals::block().map_err(kernel("signals cannot be read"))?;
    become_user(config)?;
    process::hide().map_err(kernel("prctl(PR_SET_DUMPABLE)"))?;
    if !is_pid_1() {
        process::become_subreaper().map_err(kernel("prctl(PR_SET_CHILD_SUBREAPER)"))?;
    }
    let builder = Arc::new(prepare(config, report)?);
    let listener = door::listen(config)?;
    info!(socket = %config.builder.socket.display(), "ready for builds");
    // The trials run builds of their own, and nobody has to wait for them who does not build.
    let trials = Arc::clone(&builder);
    std::thread::spawn(move || trials.isolation());
    let watched = watch(&signals, &listener, &builder);
    report.isolation = builder
        .isolation
        .known()
        .map(|isolation| isolation.name().to_owned());
    watched
}

/// Root of a pod's user namespace becomes the job's user, whose files it could not read without more rights, and keeps
/// the two that map ids. Any other user has the helpers' file capabilities for that, and keeps none.
fn become_user(config: &Config) -> Result<(), Failure> {
    let user = config.builder.client_uid;
    let done = match (nix::unistd::getuid().is_root(), user) {
        (true, 0) => Ok(()),
        (true, _) => process::become_mapper(user),
        (false, _) => process::drop_capabilities(),
    };
    done.map_err(|error| Failure::Kernel {
        what: "user and capabilities cannot be changed",
        source: std::io::Error::other(error),
    })
}

fn prepare(config: &Config, report: &mut Report) -> Result<Builder, Failure> {
    let own = config.of_builder();
    let private = Private::of(config);
    forget_operations(config);
    let workspace = Workspace::open(&config.workspace.path).map_err(|source| {
        storage::StorageError::from(WorkspaceError::Job {
            path: config.workspace.path.clone(),
            volume: config.workspace.path.clone(),
            uid: nix::unistd::getuid().as_raw(),
            source,
        })
    })?;
    workspace::prepare(&own).map_err(storage::StorageError::from)?;
    let prepared = storage::prepare(&own, None)?;
    report.storage_driver = Some(prepared.driver.name().to_owned());
    for name in ["operations", "containers"] {
        private
            .directory(name)
            .map_err(storage::StorageError::from)?;
    }
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
        children: Children::default(),
        environment: environment::of_buildah(&config, &own, &prepared.environment),
        turns: Turns::new(config.builder.parallel.max(1)),
        numbers: AtomicU64::new(0),
        clients: AtomicUsize::new(0),
        isolation: Proof::new(isolation::own_proc()),
        config,
    })
}

/// What operations of a builder that was killed have left; images stay.
fn forget_operations(config: &Config) {
    for parent in [&config.runtime_directory, &config.builder.volume] {
        let _ = std::fs::remove_dir_all(parent.join("operations"));
    }
    // The policy's link is made anew.
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

fn watch(
    signals: &Signals,
    listener: &UnixListener,
    builder: &Arc<Builder>,
) -> Result<(), Failure> {
    let kernel = |what| {
        move |errno: Errno| Failure::Kernel {
            what,
            source: errno.into(),
        }
    };
    loop {
        let mut fds = [
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(listener.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Err(Errno::EINTR) | Ok(_) => {}
            Err(errno) => return Err(kernel("poll")(errno)),
        }
        let mut child = false;
        while let Some(received) = signals.next().map_err(kernel("signals cannot be read"))? {
            match received.meaning() {
                Meaning::Child => child = true,
                Meaning::Terminate => {
                    info!(
                        sender = received.sender,
                        "asked to end by {}",
                        received.number.name()
                    );
                    return Ok(());
                }
                Meaning::Suspend | Meaning::Forward | Meaning::Ignore => {}
            }
        }
        if child {
            builder.children.reap();
        }
        while let Ok((stream, _)) = listener.accept() {
            door::accept(stream, builder);
        }
    }
}
