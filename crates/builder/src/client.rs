//! `buildah` in the runner's image: what it is asked for is done in the builder.

use std::ffi::OsString;
use std::io::{Read, Write, stderr, stdin, stdout};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::protocol::{CHUNK, GREETING, Hello, Kind, MAJOR, MINOR, Size, read, write};
use super::variables;
pub use super::variables::Variables;
use init::signals::{Meaning, Signals};
use report::exit;

/// Names the socket where it is not at its usual place.
pub const SOCKET_VARIABLE: &str = "BUILDER_SOCKET";
const SOCKET: &str = "/run/builder/socket";

/// Why there is no answer from the builder.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("the builder does not answer at {}: {source}; is its container running?", socket.display())]
    Connect {
        /// Where it should be.
        socket: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// It has gone in the middle.
    #[error(
        "the builder has gone before it was done ({0}): it was ended, killed or restarted; nothing that was not committed is kept"
    )]
    Gone(String),
    /// The command line is too long.
    #[error("the command line takes more than {} MiB", GREETING >> 20)]
    TooLong,
    /// Something here.
    #[error("{what}: {source}")]
    Here {
        /// What was tried.
        what: &'static str,
        /// The reason.
        source: std::io::Error,
    },
}

/// Runs one command line in the builder, with our own standard streams, and gives its exit code.
///
/// # Errors
/// [`ClientError`] where the builder gave no exit code.
pub fn run(arguments: Vec<String>) -> Result<u8, ClientError> {
    let mut streams = Streams {
        input: None,
        output: &mut stdout(),
        errors: &mut stderr(),
        to_terminal: true,
    };
    call(arguments, Variables::FromFlags, &mut streams)
}

/// What a call reads and writes.
pub struct Streams<'a> {
    /// In place of our own standard input.
    pub input: Option<&'a [u8]>,
    /// Standard output.
    pub output: &'a mut dyn Write,
    /// Standard error.
    pub errors: &'a mut dyn Write,
    /// Whether `output` is our own standard output, which may be a terminal.
    pub to_terminal: bool,
}

/// The same with other streams.
///
/// # Errors
/// [`ClientError`] where the builder gave no exit code.
pub fn call(
    arguments: Vec<String>,
    variables: Variables,
    streams: &mut Streams<'_>,
) -> Result<u8, ClientError> {
    let here = |what| move |source| ClientError::Here { what, source };
    let signals = Signals::block().map_err(|errno| here("signals")(errno.into()))?;
    let socket =
        std::env::var_os(SOCKET_VARIABLE).map_or_else(|| PathBuf::from(SOCKET), PathBuf::from);
    let stream =
        UnixStream::connect(&socket).map_err(|source| ClientError::Connect { socket, source })?;
    let terminal = (streams.to_terminal).then(terminal_size).flatten();
    let hello = serde_json::to_vec(&greeting(arguments, variables, terminal))
        .map_err(|error| here("greeting")(error.into()))?;
    if hello.len() > GREETING {
        return Err(ClientError::TooLong);
    }
    write(&mut &stream, Kind::Hello, &hello)
        .map_err(|error| ClientError::Gone(error.to_string()))?;
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

/// The size of the terminal that standard output is, if it is one.
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
        variables::of_command(&arguments, variables, std::env::vars_os().filter_map(text));
    let directory = std::env::current_dir().unwrap_or_default();
    Hello {
        version: (MAJOR, MINOR),
        arguments,
        directory: directory.to_string_lossy().into_owned(),
        environment,
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
            let (spoke, signaled, typed) = (ready(0), ready(1), ready(2));
            drop(fds);
            if signaled {
                self.forward();
            }
            if typed {
                self.read_input();
            }
            if spoke {
                if let Some(code) = self.hear(&mut payload)? {
                    return Ok(code);
                }
            }
        }
    }

    /// Signals for us are meant for what we stand for.
    fn forward(&self) {
        while let Ok(Some(received)) = self.signals.next() {
            if received.meaning() == Meaning::Suspend {
                // As a shell expects of a job: the build waits when its output is no longer taken.
                let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGSTOP);
            } else if received.number.0 == nix::sys::signal::Signal::SIGWINCH as i32 {
                if let Some(size) = terminal_size() {
                    let _ = write(&mut &self.stream, Kind::Resize, &size.bytes());
                }
            } else if received.meaning() != Meaning::Child {
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
        // Where it has gone, reading tells.
        let _ = write(&mut &self.stream, Kind::Input, bytes);
    }

    fn end_input(&mut self) {
        self.ended = true;
        let _ = write(&mut &self.stream, Kind::InputEnd, &[]);
    }

    fn hear(&mut self, payload: &mut Vec<u8>) -> Result<Option<u8>, ClientError> {
        let gone = |problem: String| ClientError::Gone(problem);
        let kind = read(&mut &self.stream, payload).map_err(|error| gone(error.to_string()))?;
        let kind = kind.ok_or_else(|| gone("without an exit code".to_owned()))?;
        let written = match kind {
            Kind::Output => (self.output.write_all(payload)).and_then(|()| self.output.flush()),
            Kind::Error => self.errors.write_all(payload),
            Kind::Notice => self
                .errors
                .write_all(format!("builder: {}\n", String::from_utf8_lossy(payload)).as_bytes()),
            Kind::Wanted => {
                let more = payload.as_slice().try_into().map_or(0, u32::from_be_bytes);
                self.wanted += usize::try_from(more).unwrap_or(0);
                self.answer_given();
                Ok(())
            }
            Kind::Exit => return Ok(Some(payload.first().copied().unwrap_or(exit::INTERNAL))),
            _ => Err(std::io::Error::other("a frame that only a client sends")),
        };
        match written {
            // As SIGPIPE would have ended Buildah itself.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                Ok(Some(exit::of_signal(13)))
            }
            Err(source) => Err(ClientError::Here {
                what: "standard output",
                source,
            }),
            Ok(()) => Ok(None),
        }
    }

    /// Input that we were given rather than have to read.
    fn answer_given(&mut self) {
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
                self.answer_given();
                return;
            }
            self.input = Some(rest);
        }
    }
}
