//! The event loop of the builder's first thread: it reaps children, accepts clients, and handles signals.

use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use tracing::{info, warn};

use super::error::ServeError;
use super::listener;
use super::state::Builder;
use init::is_pid_1;
use init::signals::{Meaning, Signals};
use linux::poll::{self, Interest};

/// Whether clients are accepted.
enum Admission {
    /// Not yet: the isolation of RUN steps is unknown. The pipe becomes readable when the probes end.
    Closed(OwnedFd),
    /// Clients are accepted.
    Open(UnixListener),
}

impl AsFd for Admission {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Closed(pipe) => pipe.as_fd(),
            Self::Open(socket) => socket.as_fd(),
        }
    }
}

/// Serves until SIGTERM.
pub(super) fn run(signals: &Signals, builder: &Arc<Builder>) -> Result<(), ServeError> {
    let mut admission = Admission::Closed(start_isolation_probe(builder)?);
    loop {
        let fds = [signals.as_fd(), admission.as_fd()];
        let ready =
            poll::wait_any(&fds, Interest::Read, None).map_err(ServeError::kernel("poll"))?;
        if termination_requested(signals, builder)? {
            return Ok(());
        }
        if !ready.last().copied().unwrap_or(false) {
            continue;
        }
        match &admission {
            Admission::Open(socket) => accept_all(socket, builder)?,
            Admission::Closed(_) => {
                admission = Admission::Open(listener::listen(&builder.settings)?);
                info!(socket = %builder.settings.socket.display(), "ready for builds");
            }
        }
    }
}

/// Starts the probes in a thread. They run builds, which the event loop reaps.
fn start_isolation_probe(builder: &Arc<Builder>) -> Result<OwnedFd, ServeError> {
    let (pipe, done) = pipe2(OFlag::O_CLOEXEC).map_err(ServeError::kernel("pipe"))?;
    let builder = Arc::clone(builder);
    let probes = move || {
        builder.isolation();
        drop(done);
    };
    std::thread::Builder::new()
        .spawn(probes)
        .map_err(ServeError::kernel("a thread for the isolation probes"))?;
    Ok(pipe)
}

fn termination_requested(signals: &Signals, builder: &Builder) -> Result<bool, ServeError> {
    let mut child = false;
    while let Some(received) = signals
        .next()
        .map_err(ServeError::kernel("signals cannot be read"))?
    {
        match received.meaning() {
            Meaning::Child => child = true,
            Meaning::Terminate if is_pid_1() && !received.is_from_outside() => {
                // A RUN step must not end the builder. The container runtime signals from outside.
                warn!(
                    sender = received.sender,
                    "ignored {}: sent from inside the container",
                    received.number.name()
                );
            }
            Meaning::Terminate => {
                info!(
                    sender = received.sender,
                    "ending after {}",
                    received.number.name()
                );
                return Ok(true);
            }
            Meaning::Suspend | Meaning::Resume | Meaning::Forward | Meaning::Ignore => {}
        }
    }
    if child {
        builder.children.reap();
    }
    Ok(false)
}

/// Accepts all waiting clients. If descriptors or memory run out, the builder ends: the client would stay in the queue and
/// the socket readable, so that the loop would spin.
fn accept_all(listener: &UnixListener, builder: &Arc<Builder>) -> Result<(), ServeError> {
    loop {
        match listener.accept() {
            Ok((stream, _)) => listener::accept(stream, builder),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            // The client closed the connection before.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(source) => {
                return Err(ServeError {
                    what: "no more clients can be accepted, so the builder ends",
                    source,
                });
            }
        }
    }
}
