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
