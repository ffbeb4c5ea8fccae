//! One client, from its greeting to its exit code, on threads of its own that block: who reads slowly is written to slowly.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tracing::{debug, info, warn};

use super::namespace::Namespace;
use super::protocol::{self, CHUNK, Hello, Kind};
use super::request::{Order, Request};
use super::room::{Done, Room};
use super::sandbox;
use super::server::Server;
use crate::exit;
use crate::sys::idmap;
use crate::sys::raw;
use crate::sys::userns::{GO, READY};

/// How long a client may take to say what it wants.
const GREETING: Duration = Duration::from_secs(10);
/// The most that is taken from a client's standard input: a Containerfile, or a password.
const INPUT: usize = 4 << 20;

/// A client under way.
struct Session<'a> {
    server: &'a Server,
    /// One frame at a time.
    writer: Mutex<UnixStream>,
    gone: AtomicBool,
    /// The socket of the sandbox that runs, for signals.
    control: Mutex<Option<(UnixStream, i32)>>,
}

/// Serves one client to its end.
pub(super) fn serve(server: &Server, client: UnixStream) {
    let Ok(writer) = client.try_clone() else {
        return;
    };
    let session = Session {
        server,
        writer: Mutex::new(writer),
        gone: AtomicBool::new(false),
        control: Mutex::new(None),
    };
    let code = session.converse(client).unwrap_or_else(|problem| {
        session.notice(&problem);
        exit::BUILDER
    });
    session.send(Kind::Exit, &[code]);
    let _ = lock(&session.writer).shutdown(Shutdown::Both);
}

impl Session<'_> {
    fn converse(&self, mut client: UnixStream) -> Result<u8, String> {
        let broken = |error: std::io::Error| format!("the greeting did not arrive: {error}");
        client.set_read_timeout(Some(GREETING)).map_err(broken)?;
        let mut payload = Vec::new();
        match protocol::read(&mut client, &mut payload).map_err(broken)? {
            Some(Kind::Hello) => {}
            _ => return Err("a build client begins with its greeting".to_owned()),
        }
        let request = Request::read(Hello::read(&payload)?)?;
        client.set_read_timeout(None).map_err(broken)?;
        let input = match request.reads_input() {
            true => self.input(&mut client)?,
            false => Vec::new(),
        };
        let order = request.order(&self.server.builder, input)?;
        for notice in &order.notices {
            self.notice(notice);
        }
        thread::scope(|scope| {
            scope.spawn(|| self.listen(client));
            let code = self.carry_out(&order);
            // Ends the listener; the client still reads.
            let _ = lock(&self.writer).shutdown(Shutdown::Read);
            code
        })
    }

    /// Asks the client for its standard input and reads it to its end.
    fn input(&self, client: &mut UnixStream) -> Result<Vec<u8>, String> {
        self.send(Kind::Wanted, &protocol::WINDOW.to_be_bytes());
        let (mut input, mut payload) = (Vec::new(), Vec::new());
        loop {
            match protocol::read(client, &mut payload).map_err(|error| error.to_string())? {
                Some(Kind::Input) => input.extend_from_slice(&payload),
                Some(Kind::InputEnd) => return Ok(input),
                Some(Kind::Resize) => {}
                _ => return Err("standard input ended early".to_owned()),
            }
            if input.len() > INPUT {
                return Err(format!("standard input has more than {} MiB", INPUT >> 20));
            }
        }
    }

    /// Signals, until the client goes; then its build ends.
    fn listen(&self, mut client: UnixStream) {
        let mut payload = Vec::new();
        loop {
            match protocol::read(&mut client, &mut payload) {
                Ok(Some(Kind::Signal)) => self.signal(payload.first().copied().unwrap_or(0)),
                Ok(Some(Kind::Resize | Kind::Input | Kind::InputEnd)) => {}
                _ => break,
            }
        }
        self.gone.store(true, Ordering::SeqCst);
        if let Some((_, pid)) = &*lock(&self.control) {
            let _ = raw::kill(*pid, Signal::SIGKILL as i32);
        }
    }

    fn signal(&self, number: u8) {
        if let Some((control, _)) = &mut *lock(&self.control) {
            // It may have ended meanwhile.
            let _ = control.write_all(&[number]);
        }
    }

    fn carry_out(&self, order: &Order) -> Result<u8, String> {
        let _place = match order.takes_place {
            true => Some(self.server.places.take(
                || self.notice("the builder is busy; this waits for its turn"),
                || self.gone.load(Ordering::SeqCst),
            )),
            false => None,
        };
        for room in &order.before {
            let done = self.run(room)?;
            if let Some(problem) = done.problem {
                self.notice(&problem);
            }
        }
        let done = self.run(&order.room)?;
        if let Some(authfile) = done.authfile {
            self.server.builder.credentials.set_job(&authfile)?;
        }
        match done.problem {
            Some(problem) => Err(problem),
            None => Ok(done.code),
        }
    }

    /// Runs Buildah in a room of its own.
    fn run(&self, room: &Room) -> Result<Done, String> {
        if self.gone.load(Ordering::SeqCst) {
            return Err("the client has gone".to_owned());
        }
        let failed = |error: std::io::Error| format!("a build cannot be started: {error}");
        let (control, theirs) = UnixStream::pair().map_err(failed)?;
        let mut command = Command::new("/proc/self/exe");
        command
            .args(["trial", sandbox::NAME])
            .env_clear()
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut started = self.server.children.start(&mut command).map_err(failed)?;
        // Holds the other end of the socket.
        drop(command);
        let pid = started.pid;
        *lock(&self.control) = control.try_clone().ok().map(|control| (control, pid));
        let (out, err) = (started.child.stdout.take(), started.child.stderr.take());
        let (done, namespace) = thread::scope(|scope| {
            scope.spawn(|| out.map(|pipe| self.pump(pipe, Kind::Output)));
            scope.spawn(|| err.map(|pipe| self.pump(pipe, Kind::Error)));
            let namespace = self.prepare(&control, pid, room);
            if namespace.is_err() {
                let _ = raw::kill(pid, Signal::SIGKILL as i32);
            }
            let done = namespace.as_ref().ok().and_then(|_| read_done(&control));
            // Before the output's end is waited for: nobody who holds the pipes stays.
            let _ = started.end.recv();
            *lock(&self.control) = None;
            if let Ok(namespace) = &namespace {
                if let Err(pids) = namespace.end() {
                    warn!(?pids, "processes of a build could not be ended");
                }
            }
            (done, namespace)
        });
        namespace?;
        done.ok_or_else(|| "the build was ended".to_owned())
    }

    /// Maps the sandbox's ids and hands it the plan.
    fn prepare(&self, mut control: &UnixStream, pid: i32, room: &Room) -> Result<Namespace, String> {
        let failed = |error: std::io::Error| format!("a build cannot be started: {error}");
        let mut ready = [0; READY.len()];
        control.read_exact(&mut ready).map_err(failed)?;
        if ready != READY.as_bytes() {
            let mut said = ready.to_vec();
            let _ = control.read_to_end(&mut said);
            let done: Option<Done> = serde_json::from_slice(&said).ok();
            let problem = done.and_then(|done| done.problem);
            return Err(problem.unwrap_or_else(|| "a build cannot be started".to_owned()));
        }
        let run = |command: &mut Command| self.server.children.run(command);
        idmap::write_with(Pid::from_raw(pid), &run).map_err(|error| error.to_string())?;
        let namespace = Namespace::of(pid).map_err(failed)?;
        let plan = serde_json::to_vec(room).map_err(|error| failed(error.into()))?;
        let length = u32::try_from(plan.len()).ok().filter(|length| *length <= sandbox::PLAN);
        let length = length.ok_or("the files of this build are too large")?;
        control.write_all(GO).map_err(failed)?;
        control.write_all(&length.to_be_bytes()).map_err(failed)?;
        control.write_all(&plan).map_err(failed)?;
        debug!(pid, verb = room.arguments.first(), "buildah runs");
        Ok(namespace)
    }

    fn pump(&self, mut pipe: impl Read, kind: Kind) {
        let mut buffer = vec![0; CHUNK];
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            self.send(kind, &buffer[..count]);
        }
    }

    fn notice(&self, text: &str) {
        self.send(Kind::Notice, text.as_bytes());
    }

    /// A client that has gone is noticed by the listener.
    fn send(&self, kind: Kind, payload: &[u8]) {
        let payload = &payload[..payload.len().min(CHUNK)];
        if protocol::write(&mut *lock(&self.writer), kind, payload).is_err() {
            self.gone.store(true, Ordering::SeqCst);
        }
    }
}

/// What the sandbox says last.
fn read_done(mut control: &UnixStream) -> Option<Done> {
    let mut said = Vec::new();
    control.read_to_end(&mut said).ok()?;
    let done: Option<Done> = serde_json::from_slice(&said).ok();
    info!(code = done.as_ref().map(|done| done.code), "buildah ended");
    done
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
