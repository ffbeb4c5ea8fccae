//! The build client: `buildah` in the runner's image. It sends its command line to the builder.

use std::ffi::OsString;
use std::io::{Read, Write, stderr, stdin, stdout};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

pub use super::auth_entry::AuthEntry;
use super::protocol::{CHUNK, GREETING, Hello, Kind, MAJOR, MINOR, Size, read, write};
use super::variables;
pub use super::variables::Variables;

/// The job's own credentials for a command, by registry or repository.
pub type Auths = std::collections::BTreeMap<String, AuthEntry>;
use init::signals::{SignalAction, Signals};
use report::exit;

/// The variable with another path of the builder's socket.
const SOCKET_VARIABLE: &str = "BUILDER_SOCKET";
const SOCKET: &str = "/run/builder/socket";

/// Why the builder returned no exit code.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No builder listens on the socket.
    #[error("cannot connect to the builder at {}: {source}; check that its container is running", socket.display())]
    Connect {
        /// The path of the socket.
        socket: PathBuf,
        /// The kernel's error.
        source: std::io::Error,
    },
    /// The builder closed the connection before the exit code.
    #[error(
        "the builder closed the connection early ({0}): it ended, was killed or was restarted; only committed images are kept"
    )]
    Closed(String),
    /// The command line is too long.
    #[error("the command line takes more than {} MiB", GREETING >> 20)]
    TooLong,
    /// A system call of the client failed.
    #[error("{what}: {source}")]
    Here {
        /// What the client tried.
        what: &'static str,
        /// The kernel's error.
        source: std::io::Error,
    },
}

/// Runs one command line of Buildah in the builder, with the standard streams of this process. Returns its exit code.
///
/// # Errors
/// [`ClientError`] if the builder returned no exit code.
pub fn run(arguments: Vec<String>, auths: Auths) -> Result<u8, ClientError> {
    let mut streams = Streams {
        input: None,
        output: &mut stdout(),
        errors: &mut stderr(),
        to_terminal: true,
    };
    call(arguments, Variables::FromFlags, auths, &mut streams)
}

/// The streams of a call.
pub struct Streams<'a> {
    /// The input. `None` stands for the standard input of this process.
    pub input: Option<&'a [u8]>,
    /// Receives standard output.
    pub output: &'a mut dyn Write,
    /// Receives standard error.
    pub errors: &'a mut dyn Write,
    /// Whether `output` is the standard output of this process, which may be a terminal.
    pub to_terminal: bool,
}

/// Runs one command line of Buildah in the builder, with other streams. Returns its exit code.
///
/// # Errors
/// [`ClientError`] if the builder returned no exit code.
pub fn call(
    arguments: Vec<String>,
    variables: Variables,
    auths: Auths,
    streams: &mut Streams<'_>,
) -> Result<u8, ClientError> {
    let here = |what| move |source| ClientError::Here { what, source };
    let signals = Signals::block().map_err(|errno| here("signals")(errno.into()))?;
    let socket =
        std::env::var_os(SOCKET_VARIABLE).map_or_else(|| PathBuf::from(SOCKET), PathBuf::from);
    let stream =
        UnixStream::connect(&socket).map_err(|source| ClientError::Connect { socket, source })?;
    let terminal = streams.to_terminal.then(terminal_size).flatten();
    let hello = serde_json::to_vec(&Hello {
        auths,
        ..greeting(arguments, variables, terminal)
    })
    .map_err(|error| here("greeting")(error.into()))?;
    if hello.len() > GREETING {
        return Err(ClientError::TooLong);
    }
    write(&mut &stream, Kind::Hello, &hello)
        .map_err(|error| ClientError::Closed(error.to_string()))?;
    Conversation {
        stream,
        signals,
        input: streams.input.map(<[u8]>::to_vec),
        output: &mut *streams.output,
        errors: &mut *streams.errors,
        wanted: 0,
        ended: false,
    }
    .until_end()
}

/// Returns the size of the terminal if standard output is one.
fn terminal_size() -> Option<Size> {
    let size = rustix::termios::tcgetwinsize(stdout()).ok()?;
    Some(Size {
        rows: size.ws_row,
        columns: size.ws_col,
    })
}

fn greeting(arguments: Vec<String>, variables: Variables, terminal: Option<Size>) -> Hello {
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let environment =
        variables::select(&arguments, variables, std::env::vars_os().filter_map(text));
    let directory = std::env::current_dir().unwrap_or_default();
    Hello {
        version: (MAJOR, MINOR),
        arguments,
        directory: directory.to_string_lossy().into_owned(),
        environment,
        auths: Auths::new(),
        terminal,
    }
}

struct Conversation<'a> {
    stream: UnixStream,
    signals: Signals,
    input: Option<Vec<u8>>,
    output: &'a mut dyn Write,
    errors: &'a mut dyn Write,
    wanted: usize,
    ended: bool,
}

impl Conversation<'_> {
    fn until_end(mut self) -> Result<u8, ClientError> {
        let mut payload = Vec::new();
        loop {
            let stdin = stdin();
            let mut fds = vec![
                PollFd::new(self.stream.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            ];
            let reading = self.wanted > 0 && !self.ended && self.input.is_none();
            if reading {
                fds.push(PollFd::new(stdin.as_fd(), PollFlags::POLLIN));
            }
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => {
                    return Err(ClientError::Here {
                        what: "poll",
                        source: errno.into(),
                    });
                }
            }
            let ready = |index: usize| {
                let events = fds.get(index).and_then(PollFd::revents);
                events.is_some_and(|events| !events.is_empty())
            };
            let (received, signaled, has_input) = (ready(0), ready(1), ready(2));
            drop(fds);
            if signaled {
                self.forward_signals();
            }
            if has_input {
                self.read_input();
            }
            if received && let Some(code) = self.receive(&mut payload)? {
                return Ok(code);
            }
        }
    }

    /// Forwards this process's signals to the builder.
    fn forward_signals(&self) {
        while let Ok(Some(received)) = self.signals.next() {
            if received.action() == SignalAction::Suspend {
                // A shell expects that a job stops. The build then blocks on its output.
                let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGSTOP);
            } else if received.number.0 == nix::sys::signal::Signal::SIGWINCH as i32 {
                if let Some(size) = terminal_size() {
                    let _ = write(&mut &self.stream, Kind::Resize, &size.bytes());
                }
            } else if received.action() != SignalAction::Child {
                let number = u8::try_from(received.number.0).unwrap_or(0);
                let _ = write(&mut &self.stream, Kind::Signal, &[number]);
            }
        }
    }

    fn read_input(&mut self) {
        let mut buffer = vec![0; self.wanted.min(CHUNK)];
        match stdin().lock().read(&mut buffer) {
            Ok(count @ 1..) => self.send_input(&buffer[..count]),
            _ => self.end_input(),
        }
    }

    fn send_input(&mut self, bytes: &[u8]) {
        self.wanted -= bytes.len();
        // If the connection is closed, the next read reports it.
        let _ = write(&mut &self.stream, Kind::Input, bytes);
    }

    fn end_input(&mut self) {
        self.ended = true;
        let _ = write(&mut &self.stream, Kind::InputEnd, &[]);
    }

    fn receive(&mut self, payload: &mut Vec<u8>) -> Result<Option<u8>, ClientError> {
        let closed = |problem: String| ClientError::Closed(problem);
        let kind = read(&mut &self.stream, payload).map_err(|error| closed(error.to_string()))?;
        let kind = kind.ok_or_else(|| closed("without an exit code".to_owned()))?;
        let written = match kind {
            Kind::Output => self
                .output
                .write_all(payload)
                .and_then(|()| self.output.flush()),
            Kind::Error => self.errors.write_all(payload),
            Kind::Notice => self
                .errors
                .write_all(format!("builder: {}\n", String::from_utf8_lossy(payload)).as_bytes()),
            Kind::Wanted => {
                let more = payload.as_slice().try_into().map_or(0, u32::from_be_bytes);
                self.wanted += usize::try_from(more).unwrap_or(0);
                self.send_given_input();
                Ok(())
            }
            Kind::Exit => return Ok(Some(payload.first().copied().unwrap_or(exit::INTERNAL))),
            _ => Err(std::io::Error::other(
                "the builder sent a frame of a client",
            )),
        };
        match written {
            // Buildah itself would end by SIGPIPE.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                Ok(Some(exit::from_signal(13)))
            }
            Err(source) => Err(ClientError::Here {
                what: "standard output",
                source,
            }),
            Ok(()) => Ok(None),
        }
    }

    /// Sends input of [`Streams::input`], as far as the builder requested it.
    fn send_given_input(&mut self) {
        if let (Some(mut given), false) = (self.input.take(), self.ended) {
            let count = given.len().min(self.wanted).min(CHUNK);
            let rest = given.split_off(count);
            if !given.is_empty() {
                self.send_input(&given);
            }
            if rest.is_empty() {
                self.end_input();
            } else if self.wanted > 0 {
                self.input = Some(rest);
                self.send_given_input();
                return;
            }
            self.input = Some(rest);
        }
    }
}
