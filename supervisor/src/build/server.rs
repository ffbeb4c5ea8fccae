//! The builder: PID 1 of its container, a socket, and a thread for each client.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use tracing::{error, info, warn};

use super::children::Children;
use super::places::Places;
use super::protocol::{self, Kind};
use super::request::Builder;
use super::session;
use crate::exit;
use crate::init::signals::{Meaning, Signals};
use crate::sys::ready::{Want, wait_any};

/// How many clients there may be at once, waiting ones included.
const CLIENTS: u32 = 64;

/// What all clients share.
#[derive(Debug)]
pub struct Server {
    /// What the requests are judged by.
    pub builder: Builder,
    /// All child processes.
    pub children: Children,
    /// Places for builds.
    pub places: Places,
    /// The job's user id, as this container sees it.
    pub client_uid: u32,
    /// How many clients there are.
    pub clients: AtomicU32,
}

/// Makes the socket, in a directory that the job's container mounts too.
///
/// # Errors
/// As bind(2), with the path.
pub fn listen(path: &Path) -> std::io::Result<UnixListener> {
    // One that an earlier start of this container left.
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    // Who may connect is decided by its credentials.
    fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves until the end is asked for.
///
/// # Errors
/// As poll(2) and read(2).
pub fn serve(server: &Arc<Server>, listener: &UnixListener, signals: &Signals) -> std::io::Result<()> {
    loop {
        let fds = [signals.as_fd(), listener.as_fd()];
        let ready = wait_any(&fds, Want::Read, None)?;
        while let Some(received) = signals.next()? {
            match received.meaning() {
                Meaning::Terminate => return Ok(()),
                Meaning::Child => server.children.reap(),
                _ => {}
            }
        }
        if ready.get(1) == Some(&true) {
            accept(server, listener);
        }
    }
}

fn accept(server: &Arc<Server>, listener: &UnixListener) {
    while let Ok((client, _)) = listener.accept() {
        let judged = judge(server, &client);
        if let Err(problem) = judged {
            warn!("{problem}");
            refuse(client, &problem);
            continue;
        }
        let own = Arc::clone(server);
        own.clients.fetch_add(1, Ordering::SeqCst);
        let spawned = thread::Builder::new().spawn(move || {
            session::serve(&own, client);
            own.clients.fetch_sub(1, Ordering::SeqCst);
        });
        if let Err(problem) = spawned {
            server.clients.fetch_sub(1, Ordering::SeqCst);
            error!("no thread for a client: {problem}");
        }
    }
}

fn judge(server: &Server, client: &UnixStream) -> Result<(), String> {
    let peer = getsockopt(client, PeerCredentials).map_err(|errno| errno.to_string())?;
    check(peer.uid(), peer.pid(), server.client_uid)?;
    let blocking = client.set_nonblocking(false);
    blocking.map_err(|error| error.to_string())?;
    if server.clients.load(Ordering::SeqCst) >= CLIENTS {
        return Err(format!("the builder has {CLIENTS} clients already"));
    }
    Ok(())
}

/// The kernel's word on who connects, unix(7). A process of another PID namespace has no pid here: pid 0.
fn check(uid: u32, pid: i32, client_uid: u32) -> Result<(), String> {
    if uid != client_uid {
        return Err(format!("user {uid} may not ask for builds, only user {client_uid} may (builder.client_uid)"));
    }
    if pid != 0 {
        return Err("builds are asked for in the job's container, not in the builder's; a pod must not share its process namespace".to_owned());
    }
    Ok(())
}

/// It gets a sentence, if it takes it at once.
fn refuse(client: UnixStream, problem: &str) {
    let mut client = client;
    let _ = client.set_nonblocking(true);
    let _ = protocol::write(&mut client, Kind::Notice, problem.as_bytes());
    let _ = protocol::write(&mut client, Kind::Exit, &[exit::BUILDER]);
}

/// Says that builds can come.
pub fn announce(path: &Path, driver: &str, server: &Server) {
    info!(
        socket = %path.display(),
        storage = driver,
        isolation = "chroot",
        registries = server.builder.credentials.count(),
        "the builder is ready"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_job_may_ask() {
        assert_eq!(check(1000, 0, 1000), Ok(()));
        assert!(check(0, 0, 1000).unwrap_err().contains("user 0"));
        let own = check(1000, 7, 1000).unwrap_err();
        assert!(own.contains("process namespace"), "{own}");
    }
}
