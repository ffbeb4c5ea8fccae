//! `supervisor serve-builds`: PID 1 of the builder's container, from its first check to its wipe.

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use tracing::{error, info, warn};

use super::children::Children;
use super::credentials::Credentials;
use super::paths::Workspace;
use super::session;
use crate::config::Config;
use crate::init::signals::{Meaning, Signals};
use crate::init::{is_pid_1, survivors};
use crate::outcome::Failure;
use crate::report::{Reason, Report, Step};
use crate::secrets::{self, DOCKER_CONFIG, SecretsError};
use crate::sys::process;
use crate::workspace::{Private, WorkspaceError};
use crate::{storage, wipe, workspace};

/// Clients at once: each costs some threads and no more.
const CLIENTS: usize = 64;

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
    clients: AtomicUsize,
}

impl Builder {
    /// A number that no operation had.
    pub(super) fn next(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
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

/// Whose turn it is.
#[derive(Debug)]
pub(super) struct Turns {
    free: Mutex<u32>,
    all: u32,
    changed: Condvar,
}

/// A turn; dropping it gives it to the next.
pub(super) struct Turn<'a>(&'a Turns);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.changed.notify_all();
    }
}

impl Turns {
    fn new(all: u32) -> Self {
        Self {
            free: Mutex::new(all),
            all,
            changed: Condvar::new(),
        }
    }

    /// Waits for a turn; `told` is called once where there is something to wait for. Who has gone waits no longer.
    pub(super) fn take(&self, told: impl FnOnce(u32), gone: impl Fn() -> bool) -> Option<Turn<'_>> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if *free == 0 {
            told(self.all);
        }
        while *free == 0 {
            if gone() {
                return None;
            }
            let pause = std::time::Duration::from_millis(200);
            free = self
                .changed
                .wait_timeout(free, pause)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        *free -= 1;
        Some(Turn(self))
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
    process::hide().map_err(kernel("prctl(PR_SET_DUMPABLE)"))?;
    if !nix::unistd::getuid().is_root() {
        process::drop_capabilities().map_err(|error| Failure::Kernel {
            what: "capabilities cannot be dropped",
            source: std::io::Error::other(error),
        })?;
    }
    if !is_pid_1() {
        process::become_subreaper().map_err(kernel("prctl(PR_SET_CHILD_SUBREAPER)"))?;
    }
    let builder = Arc::new(prepare(config, report)?);
    let listener = listen(config)?;
    info!(socket = %config.builder.socket.display(), "ready for builds");
    watch(&signals, &listener, &builder)
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
    Ok(Builder {
        workspace,
        credentials,
        children: Children::default(),
        environment: environment(config, &own, &prepared.environment),
        turns: Turns::new(config.builder.parallel.max(1)),
        numbers: AtomicU64::new(0),
        clients: AtomicUsize::new(0),
        config: config.clone(),
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

/// Made from nothing: what the container's own environment says of Buildah is not handed on.
fn environment(
    config: &Config,
    own: &Config,
    storage: &[(std::ffi::OsString, std::ffi::OsString)],
) -> Vec<(String, String)> {
    let text = |path: &Path| path.display().to_string();
    let (uid, gid) = (nix::unistd::getuid(), nix::unistd::getgid());
    let mut environment = vec![
        (
            "PATH".to_owned(),
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
        ),
        (
            "HOME".to_owned(),
            text(&config.runtime_directory.join("home")),
        ),
        ("TMPDIR".to_owned(), text(&own.workspace.temporary())),
        (
            "XDG_RUNTIME_DIR".to_owned(),
            text(&config.runtime_directory.join("home")),
        ),
        // What Buildah says to itself once it is in a namespace: no second one is made, and storage is a user's own.
        (
            "_CONTAINERS_USERNS_CONFIGURED".to_owned(),
            "done".to_owned(),
        ),
        ("_CONTAINERS_ROOTLESS_UID".to_owned(), uid.to_string()),
        ("_CONTAINERS_ROOTLESS_GID".to_owned(), gid.to_string()),
    ];
    environment.extend(storage.iter().map(|(name, value)| {
        (
            name.to_string_lossy().into_owned(),
            value.to_string_lossy().into_owned(),
        )
    }));
    let kept: BTreeSet<&str> = [
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "http_proxy",
        "https_proxy",
        "no_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
    ]
    .into();
    environment.extend(std::env::vars().filter(|(name, _)| kept.contains(name.as_str())));
    environment
}

fn listen(config: &Config) -> Result<UnixListener, Failure> {
    let socket = &config.builder.socket;
    let failed = |source| Failure::Kernel {
        what: "the socket (builder.socket, in a volume that runner and builder mount)",
        source,
    };
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = UnixListener::bind(socket).map_err(failed)?;
    // Who may speak is decided by the kernel's word on who it is.
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o666)).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
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
            accept(stream, builder);
        }
    }
}

/// Who may speak: the job's user, in another PID namespace than ours. A RUN step is in ours, and has a pid.
fn accept(stream: UnixStream, builder: &Arc<Builder>) {
    let peer = match getsockopt(&stream, PeerCredentials) {
        Ok(peer) => peer,
        Err(errno) => return warn!(%errno, "a peer without credentials"),
    };
    let inside = peer.pid() != 0 && is_pid_1();
    if inside || peer.uid() != builder.config.builder.client_uid {
        return warn!(
            pid = peer.pid(),
            uid = peer.uid(),
            "refused a peer that is not the job"
        );
    }
    if stream.set_nonblocking(false).is_err() {
        return;
    }
    if builder.clients.fetch_add(1, Ordering::Relaxed) >= CLIENTS {
        builder.clients.fetch_sub(1, Ordering::Relaxed);
        return warn!("{CLIENTS} clients are connected: one more is refused");
    }
    let shared = Arc::clone(builder);
    let spawned = std::thread::Builder::new()
        .stack_size(256 * 1024)
        .spawn(move || {
            session::serve(stream, &shared);
            shared.clients.fetch_sub(1, Ordering::Relaxed);
        });
    if let Err(error) = spawned {
        builder.clients.fetch_sub(1, Ordering::Relaxed);
        warn!(%error, "no thread for a client");
    }
}
