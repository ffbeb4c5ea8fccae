//! Listens on the socket, and accepts only clients of the job.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use tracing::warn;

use super::error::ServeError;
use super::session;
use super::settings::Settings;
use super::state::Builder;
use init::is_pid_1;

/// The most clients at the same time. Each costs some threads.
const CLIENTS: usize = 64;

/// Creates the socket, and replaces one that exists.
pub(super) fn listen(settings: &Settings) -> Result<UnixListener, ServeError> {
    let socket = &settings.socket;
    let failed = |source| ServeError {
        what: "the socket (builder.socket, in a volume that runner and builder mount)",
        source,
    };
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = UnixListener::bind(socket).map_err(failed)?;
    // Every user may connect: accept() checks the peer by SO_PEERCRED.
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o666)).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

/// Accepts a client that has the job's uid and is in another PID namespace: its pid is 0 here. A RUN step is in the
/// builder's own PID namespace, and has a pid.
pub(super) fn accept(stream: UnixStream, builder: &Arc<Builder>) {
    let peer = match getsockopt(&stream, PeerCredentials) {
        Ok(peer) => peer,
        Err(errno) => return warn!(%errno, "a peer has no credentials"),
    };
    let inside = peer.pid() != 0 && is_pid_1();
    if inside || peer.uid() != builder.settings.client_uid {
        return warn!(
            pid = peer.pid(),
            uid = peer.uid(),
            "refused a peer that is not the job"
        );
    }
    if stream.set_nonblocking(false).is_err() {
        return;
    }
    let Some(slot) = Slot::take(builder) else {
        return warn!("refused a client: {CLIENTS} are connected");
    };
    let spawned = std::thread::Builder::new()
        .stack_size(256 * 1024)
        .spawn(move || session::serve(stream, &slot.0));
    if let Err(error) = spawned {
        warn!(%error, "cannot start a thread for a client");
    }
}

/// One of the slots for clients. Dropping it frees the slot, even after a panic.
struct Slot(Arc<Builder>);

impl Slot {
    fn take(builder: &Arc<Builder>) -> Option<Self> {
        let slot = Self(Arc::clone(builder));
        (builder.clients.fetch_add(1, Ordering::Relaxed) < CLIENTS).then_some(slot)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.clients.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, exit, next_frame};
    use crate::protocol::{Kind, write};
    use std::io::Write;
    use std::time::{Duration, Instant};

    fn accept_one(fixture: &Fixture) -> UnixStream {
        let (client, server) = UnixStream::pair().unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        accept(server, &fixture.builder);
        client
    }

    fn is_refused(client: &UnixStream) -> bool {
        next_frame(client).is_none()
    }

    /// Waits until the thread of a session has ended.
    fn wait_until_no_client_is_left(builder: &Builder) {
        let end = Instant::now() + Duration::from_secs(60);
        while builder.clients.load(Ordering::Relaxed) > 0 {
            assert!(Instant::now() < end, "a client's slot was not freed");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn socket_replaces_a_leftover_and_is_open_to_every_user() {
        let fixture = Fixture::new();
        std::fs::write(fixture.path("socket"), "of a killed builder").unwrap();
        let listener = listen(&fixture.builder.settings).unwrap();
        let mode = std::fs::metadata(fixture.path("socket"))
            .unwrap()
            .permissions();
        assert_eq!(mode.mode() & 0o777, 0o666);
        UnixStream::connect(fixture.path("socket")).unwrap();
        listener.accept().unwrap();
        let empty = listener.accept().unwrap_err();
        assert_eq!(empty.kind(), std::io::ErrorKind::WouldBlock);
    }

    #[test]
    fn names_the_setting_of_a_socket_in_a_missing_directory() {
        let fixture = Fixture::with(|settings| settings.socket.push("missing/socket"));
        let error = listen(&fixture.builder.settings).unwrap_err();
        assert!(error.what.contains("builder.socket"), "{error}");
    }

    #[test]
    fn client_of_the_job_is_served_and_frees_its_slot() {
        let fixture = Fixture::new();
        let client = accept_one(&fixture);
        assert_eq!(fixture.builder.clients.load(Ordering::Relaxed), 1);
        let hello = serde_json::to_vec(&fixture.hello("images")).unwrap();
        write(&mut &client, Kind::Hello, &hello).unwrap();
        let frames: Vec<_> = std::iter::from_fn(|| next_frame(&client)).collect();
        assert_eq!(frames.last(), Some(&exit(0)));
        wait_until_no_client_is_left(&fixture.builder);
    }

    #[test]
    fn client_of_another_user_is_refused() {
        let other = nix::unistd::getuid().as_raw() + 1;
        let fixture = Fixture::with(|settings| settings.client_uid = other);
        let client = accept_one(&fixture);
        assert!(is_refused(&client));
        // Nothing reads the connection.
        assert!((&client).write_all(b"x").is_err());
        assert_eq!(fixture.builder.clients.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn client_is_refused_while_all_slots_are_taken() {
        let fixture = Fixture::new();
        let taken: Vec<_> = (0..CLIENTS)
            .map(|_| Slot::take(&fixture.builder).unwrap())
            .collect();
        assert!(is_refused(&accept_one(&fixture)));
        assert_eq!(fixture.builder.clients.load(Ordering::Relaxed), CLIENTS);
        drop(taken);
        let client = accept_one(&fixture);
        assert_eq!(fixture.builder.clients.load(Ordering::Relaxed), 1);
        drop(client);
        wait_until_no_client_is_left(&fixture.builder);
    }
}
