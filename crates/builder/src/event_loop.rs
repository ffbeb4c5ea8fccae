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
use init::signals::{Received, SignalAction, Signals};
use linux::poll::{self, Interest};
use memory_guard::{Guard, words};

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
pub(super) fn run(
    signals: &Signals,
    builder: &Arc<Builder>,
    mut guard: Option<&mut Guard>,
) -> Result<(), ServeError> {
    let mut admission = Admission::Closed(start_isolation_probe(builder)?);
    loop {
        let mut fds = vec![signals.as_fd(), admission.as_fd()];
        fds.extend(guard.as_ref().map(|guard| guard.events()));
        let ready =
            poll::wait_any(&fds, Interest::Read, None).map_err(ServeError::kernel("poll"))?;
        drop(fds);
        if ready.get(2) == Some(&true) {
            guard.iter_mut().for_each(|guard| log_kills(guard));
        }
        if termination_requested(signals, builder)? {
            return Ok(());
        }
        if ready.get(1) == Some(&true) {
            admission = admission.go_on(builder)?;
        }
    }
}

fn log_kills(guard: &mut Guard) {
    for kill in guard.new_kills() {
        warn!("{}", words::sentence(&kill, guard.container()));
    }
}

impl Admission {
    /// Accepts the clients that wait, or opens the socket once the isolation is known.
    fn go_on(self, builder: &Arc<Builder>) -> Result<Self, ServeError> {
        match self {
            Self::Open(socket) => {
                accept_all(&socket, builder)?;
                Ok(Self::Open(socket))
            }
            Self::Closed(_) => {
                let socket = listener::listen(&builder.settings)?;
                info!(socket = %builder.settings.socket.display(), "ready for builds");
                Ok(Self::Open(socket))
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

/// What the builder does with a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reaction {
    Reap,
    End,
    /// A RUN step must not end the builder. The container runtime signals from outside.
    Refuse,
    Ignore,
}

fn reaction(received: Received, is_pid_1: bool) -> Reaction {
    match received.action() {
        SignalAction::Child => Reaction::Reap,
        SignalAction::Terminate if is_pid_1 && !received.is_from_outside() => Reaction::Refuse,
        SignalAction::Terminate => Reaction::End,
        SignalAction::Suspend
        | SignalAction::Resume
        | SignalAction::Forward
        | SignalAction::Ignore => Reaction::Ignore,
    }
}

fn termination_requested(signals: &Signals, builder: &Builder) -> Result<bool, ServeError> {
    let mut child = false;
    while let Some(received) = signals
        .next()
        .map_err(ServeError::kernel("signals cannot be read"))?
    {
        match reaction(received, is_pid_1()) {
            Reaction::Reap => child = true,
            Reaction::Refuse => {
                warn!(
                    sender = received.sender,
                    "ignored {}: sent from inside the container",
                    received.number.name()
                );
            }
            Reaction::End => {
                info!(
                    sender = received.sender,
                    "ending after {}",
                    received.number.name()
                );
                return Ok(true);
            }
            Reaction::Ignore => {}
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, exit, next_frame};
    use crate::isolation::Isolation;
    use crate::protocol::{Kind, write};
    use init::signals::Number;
    use nix::sys::signal::Signal;
    use std::os::unix::net::UnixStream;
    use std::time::{Duration, Instant};

    fn received(signal: Signal, sender: u32) -> Received {
        Received {
            number: Number(signal as i32),
            sender,
            code: 0,
        }
    }

    #[test]
    fn pid_1_ends_only_for_a_sigterm_from_outside_its_container() {
        let outside = received(Signal::SIGTERM, 0);
        let inside = received(Signal::SIGTERM, 7);
        assert_eq!(reaction(outside, true), Reaction::End);
        assert_eq!(reaction(inside, true), Reaction::Refuse);
        assert_eq!(reaction(inside, false), Reaction::End);
        assert_eq!(reaction(received(Signal::SIGCHLD, 7), true), Reaction::Reap);
        assert_eq!(
            reaction(received(Signal::SIGHUP, 0), true),
            Reaction::Ignore
        );
    }

    #[test]
    fn socket_appears_only_when_the_isolation_is_known() {
        let fixture = Fixture::new();
        let probes = start_isolation_probe(&fixture.builder).unwrap();
        let end = Instant::now() + Duration::from_secs(60);
        let socket = fixture.path("socket");
        assert!(!socket.exists());
        assert!(poll::wait(&probes, Interest::Read, Some(end)).unwrap());
        assert_eq!(fixture.builder.isolation.known(), Some(Isolation::Chroot));
        let admission = Admission::Closed(probes).go_on(&fixture.builder).unwrap();
        assert!(matches!(admission, Admission::Open(_)) && socket.exists());
    }

    #[test]
    fn all_clients_that_wait_are_served_in_one_turn() {
        let fixture = Fixture::new();
        let listener = listener::listen(&fixture.builder.settings).unwrap();
        let connect = |_| {
            let client = UnixStream::connect(fixture.path("socket")).unwrap();
            client
                .set_read_timeout(Some(Duration::from_secs(60)))
                .unwrap();
            client
        };
        let clients: Vec<UnixStream> = (0..3).map(connect).collect();
        let admission = Admission::Open(listener).go_on(&fixture.builder).unwrap();
        assert!(matches!(admission, Admission::Open(_)));
        let hello = serde_json::to_vec(&fixture.hello("images")).unwrap();
        for client in &clients {
            write(&mut &*client, Kind::Hello, &hello).unwrap();
            let frames: Vec<_> = std::iter::from_fn(|| next_frame(client)).collect();
            assert_eq!(frames.last(), Some(&exit(0)));
        }
        assert_eq!(fixture.executed().len(), 3);
    }
}
