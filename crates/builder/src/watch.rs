//! What the builder's first thread does until its end: reaps, lets clients in, and heeds who may end it.

use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use tracing::{info, warn};

use super::door;
use super::error::ServeError;
use super::state::Builder;
use init::is_pid_1;
use init::signals::{Meaning, Signals};
use linux::poll::{self, Interest};

/// Whether clients are let in.
enum Door {
    /// Not before it is known how RUN steps can be isolated: readable once it is.
    Closed(OwnedFd),
    Open(UnixListener),
}

impl AsFd for Door {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Closed(sign) => sign.as_fd(),
            Self::Open(listener) => listener.as_fd(),
        }
    }
}

/// Serves until it is asked to end.
pub(super) fn until_asked(signals: &Signals, builder: &Arc<Builder>) -> Result<(), ServeError> {
    let mut door = Door::Closed(try_isolation(builder)?);
    loop {
        let fds = [signals.as_fd(), door.as_fd()];
        let ready =
            poll::wait_any(&fds, Interest::Read, None).map_err(ServeError::kernel("poll"))?;
        if asked(signals, builder)? {
            return Ok(());
        }
        if !ready.last().copied().unwrap_or(false) {
            continue;
        }
        match &door {
            Door::Open(listener) => accept_all(listener, builder)?,
            Door::Closed(_) => {
                door = Door::Open(door::listen(&builder.settings)?);
                info!(socket = %builder.settings.socket.display(), "ready for builds");
            }
        }
    }
}

/// The trials run builds of their own, whose ends are reaped here meanwhile.
fn try_isolation(builder: &Arc<Builder>) -> Result<OwnedFd, ServeError> {
    let (sign, done) = pipe2(OFlag::O_CLOEXEC).map_err(ServeError::kernel("pipe"))?;
    let builder = Arc::clone(builder);
    let trials = move || {
        builder.isolation();
        drop(done);
    };
    std::thread::Builder::new()
        .spawn(trials)
        .map_err(ServeError::kernel("a thread for the trials"))?;
    Ok(sign)
}

fn asked(signals: &Signals, builder: &Builder) -> Result<bool, ServeError> {
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
            Ok((stream, _)) => door::accept(stream, builder),
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
