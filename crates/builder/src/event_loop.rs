//! What the builder's first thread does until its end: reaps, lets clients in, and heeds who may end it.

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
use linux::ready::{self, Want};

/// Whether clients are let in.
enum Admission {
    /// Not before it is known how RUN steps can be isolated: readable once it is.
    Closed(OwnedFd),
    Open(UnixListener),
}

impl AsFd for Admission {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Closed(sign) => sign.as_fd(),
            Self::Open(socket) => socket.as_fd(),
        }
    }
}

/// Serves until it is asked to end.
pub(super) fn run(signals: &Signals, builder: &Arc<Builder>) -> Result<(), ServeError> {
    let mut admission = Admission::Closed(start_isolation_probe(builder)?);
    loop {
        let fds = [signals.as_fd(), admission.as_fd()];
        let ready = ready::wait_any(&fds, Want::Read, None).map_err(ServeError::kernel("poll"))?;
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

/// The trials run builds of their own, whose ends are reaped here meanwhile.
fn start_isolation_probe(builder: &Arc<Builder>) -> Result<OwnedFd, ServeError> {
    let (sign, done) = pipe2(OFlag::O_CLOEXEC).map_err(ServeError::kernel("pipe"))?;
    let builder = Arc::clone(builder);
    let probes = move || {
        builder.isolation();
        drop(done);
    };
    std::thread::Builder::new()
        .spawn(probes)
        .map_err(ServeError::kernel("a thread for the trials"))?;
    Ok(sign)
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
                // A RUN step has no say in it. Who ends a container does so from outside.
                warn!(
                    sender = received.sender,
                    "{} from within the container: not heeded",
                    received.number.name()
                );
            }
            Meaning::Terminate => {
                info!(
                    sender = received.sender,
                    "asked to end by {}",
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

/// Lets in who waits. Where there are no descriptors or no memory for it, waiting would not help: the client stays where
/// it is, and the socket readable.
fn accept_all(listener: &UnixListener, builder: &Arc<Builder>) -> Result<(), ServeError> {
    loop {
        match listener.accept() {
            Ok((stream, _)) => listener::accept(stream, builder),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            // The client has gone meanwhile.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(source) => {
                return Err(ServeError {
                    what: "no more clients can be let in (accept), so the builder ends",
                    source,
                });
            }
        }
    }
}
