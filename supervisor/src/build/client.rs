//! `buildah` in the job's container: asks the builder, and behaves as if it were it.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write, stdin};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::protocol::{self, CHUNK, Hello, Kind, MAJOR, MINOR};
use crate::init::signals::{Meaning, Signals};
use crate::sys::ready::{Want, wait};

/// The variable that names another socket.
pub const SOCKET: &str = "CI_CD_AGENTS_BUILDER";
/// The socket, where no variable names another.
pub const DEFAULT_SOCKET: &str = "/run/builder/socket";
/// How long a builder may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// What goes into a call besides its arguments.
pub struct Ends<'a> {
    /// Standard input, if it is not the job's.
    pub input: Option<Vec<u8>>,
    /// Takes the output.
    pub output: &'a mut dyn Write,
    /// Takes errors.
    pub errors: &'a mut dyn Write,
}

/// The socket, if there is a builder in this pod.
#[must_use]
pub fn socket() -> Option<PathBuf> {
    let path = std::env::var_os(SOCKET).map_or_else(|| DEFAULT_SOCKET.into(), PathBuf::from);
    path.parent().is_some_and(Path::is_dir).then_some(path)
}

/// Has the builder carry out one command line; gives its exit code.
///
/// # Errors
/// Where the builder is not there, or ended meanwhile.
pub fn ask(
    socket: &Path,
    arguments: &[String],
    signals: Option<&Arc<Signals>>,
    ends: &mut Ends<'_>,
) -> std::io::Result<u8> {
    let mut builder = connect(socket, ends.errors)?;
    let hello = Hello {
        version: (MAJOR, MINOR),
        arguments: arguments.to_vec(),
        directory: std::env::current_dir()?.to_string_lossy().into_owned(),
        environment: environment(),
        terminal: None,
    };
    let writer = Arc::new(Mutex::new(builder.try_clone()?));
    // The builder may refuse before it has read all of it.
    let greeted = send(&writer, Kind::Hello, &serde_json::to_vec(&hello)?);
    let signals = signals.map(|signals| forward(Arc::clone(signals), Arc::clone(&writer)));
    let code = follow(&mut builder, &writer, ends);
    let _ = builder.shutdown(Shutdown::Both);
    drop(signals);
    match (code, greeted) {
        (Ok(Some(code)), _) => Ok(code),
        (Err(error), Ok(())) | (_, Err(error)) => Err(error),
        (Ok(None), Ok(())) => Err(std::io::Error::new(
            ErrorKind::ConnectionAborted,
            "the builder ended before the build did; its container's log says why",
        )),
    }
}

fn environment() -> BTreeMap<String, String> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

/// The builder starts beside the job, and may need longer.
fn connect(socket: &Path, errors: &mut dyn Write) -> std::io::Result<UnixStream> {
    let began = Instant::now();
    let mut said = false;
    loop {
        match UnixStream::connect(socket) {
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused)
                    && began.elapsed() < PATIENCE =>
            {
                if !said && began.elapsed() > Duration::from_secs(1) {
                    said = true;
                    writeln!(errors, "builder: waiting for {}", socket.display())?;
                }
                thread::sleep(Duration::from_millis(50));
            }
            Err(error) => {
                let text = format!("no builder answers at {}: {error}", socket.display());
                return Err(std::io::Error::new(error.kind(), text));
            }
            connected => return connected,
        }
    }
}

/// Everything that the builder says, up to its exit code.
fn follow(
    builder: &mut UnixStream,
    writer: &Arc<Mutex<UnixStream>>,
    ends: &mut Ends<'_>,
) -> std::io::Result<Option<u8>> {
    let mut payload = Vec::with_capacity(CHUNK);
    while let Some(kind) = protocol::read(builder, &mut payload)? {
        match kind {
            Kind::Output => ends.output.write_all(&payload)?,
            Kind::Error => ends.errors.write_all(&payload)?,
            Kind::Notice => {
                writeln!(ends.errors, "builder: {}", String::from_utf8_lossy(&payload))?;
            }
            Kind::Wanted => feed(writer, ends.input.take()),
            Kind::Exit => {
                ends.output.flush()?;
                return Ok(payload.first().copied());
            }
            _ => {}
        }
    }
    Ok(None)
}

/// Standard input, from a thread that nobody waits for: it may never end.
fn feed(writer: &Arc<Mutex<UnixStream>>, input: Option<Vec<u8>>) {
    let writer = Arc::clone(writer);
    thread::spawn(move || {
        let mut own;
        let mut job;
        let from: &mut dyn Read = if let Some(bytes) = &input {
            own = bytes.as_slice();
            &mut own
        } else {
            job = stdin();
            &mut job
        };
        let mut buffer = vec![0; CHUNK];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if send(&writer, Kind::Input, &buffer[..count]).is_err() {
                return;
            }
        }
        let _ = send(&writer, Kind::InputEnd, &[]);
    });
}

/// What this process is sent, Buildah is sent.
fn forward(signals: Arc<Signals>, writer: Arc<Mutex<UnixStream>>) {
    thread::spawn(move || {
        while wait(&signals.as_fd(), Want::Read, None).is_ok() {
            while let Ok(Some(received)) = signals.next() {
                let number = u8::try_from(received.number.0).unwrap_or(0);
                let forwarded = matches!(received.meaning(), Meaning::Terminate | Meaning::Forward);
                if forwarded && send(&writer, Kind::Signal, &[number]).is_err() {
                    return;
                }
            }
        }
    });
}

fn send(writer: &Mutex<UnixStream>, kind: Kind, payload: &[u8]) -> std::io::Result<()> {
    let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
    protocol::write(&mut *writer, kind, payload)
}
