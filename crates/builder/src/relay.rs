//! Relays between one client and one process: output when it is written, input when it is requested, signals at once.
//!
//! Each stream has a thread of its own that blocks. A stream that is blocked does not delay the others.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Result, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use nix::sys::signal::Signal;

use super::namespace::Namespace;
use super::paths::SMALL_FILE;
use super::protocol::{CHUNK, Kind, Size, WINDOW, read, write};
use super::pty;
use super::rejected::Rejected;
use init::reap::Ended;
use linux::libc_ext;
use report::exit::from_signal;

/// The exit code of a command that the builder refuses. Docker has the same for errors of its daemon.
pub(super) const REFUSED: u8 = 125;
/// The stack of a relay thread, in bytes. It needs one buffer and little else.
const STACK: usize = 128 * 1024;

/// Signals that a client may send to its process.
const SIGNALS: [Signal; 7] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGWINCH,
];

/// The signals among them that a user sends to end a command.
const ENDING: [Signal; 4] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
];

/// The connection to one client.
#[derive(Debug)]
pub(super) struct Connection {
    out: Mutex<UnixStream>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    input: VecDeque<u8>,
    input_ended: bool,
    granted: u32,
    closed: bool,
    running: Option<(i32, Namespace)>,
    /// A signal that came before there was a process.
    pending_signal: Option<Signal>,
    /// The first forwarded signal that ends a process.
    ended_by: Option<Signal>,
    terminal: Option<File>,
    /// The terminal's size, if the client has sent one since its greeting.
    size: Option<Size>,
    refused: bool,
}

impl Connection {
    pub(super) fn new(stream: &UnixStream) -> Result<Self> {
        Ok(Self {
            out: Mutex::new(stream.try_clone()?),
            state: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, kind: Kind, payload: &[u8]) -> Result<()> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        write(&mut *out, kind, payload)
    }

    /// Sends a message for the user.
    pub(super) fn notice(&self, text: &str) {
        // The client may have closed the connection.
        let _ = self.send(Kind::Notice, text.as_bytes());
    }

    /// Sends the reason of a refusal, and its exit code.
    pub(super) fn refuse(&self, problem: &str, code: u8) {
        self.notice(problem);
        self.state().refused = true;
        let _ = self.send(Kind::Exit, &[code]);
    }

    /// Sends the exit code, unless a refusal had one, and closes the connection.
    pub(super) fn close(&self, code: u8) {
        if !self.state().refused {
            let _ = self.send(Kind::Exit, &[code]);
        }
        let out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = out.shutdown(Shutdown::Both);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Returns the exit code if a signal came before there was a process.
    pub(super) fn interrupted(&self) -> Option<u8> {
        self.state()
            .pending_signal
            .map(|signal| from_signal(signal as i32))
    }

    /// Returns the exit code for the client: 128 + n if signal n was forwarded and the process then failed.
    ///
    /// Buildah's own code depends on a race. It handles signals only during a step, and starts that shortly after the step
    /// has begun. It exits with 1 if it handled the signal, and dies of it otherwise (Buildah 1.39, chroot/run_linux.go).
    pub(super) fn exit_code(&self, ended: Ended) -> u8 {
        exit_code(ended, self.state().ended_by)
    }

    /// Starts a thread that reads the client's frames. When the connection closes, it kills the client's process.
    ///
    /// # Errors
    /// As pthread_create(3). The same is true of the other threads here.
    pub(super) fn spawn_reader(self: &Arc<Self>, mut stream: UnixStream) -> Result<JoinHandle<()>> {
        let connection = Arc::clone(self);
        thread(move || {
            let mut payload = Vec::new();
            while let Ok(Some(kind)) = read(&mut stream, &mut payload) {
                if !connection.handle_frame(kind, &payload) {
                    break;
                }
            }
            let mut state = connection.state();
            state.closed = true;
            if let Some((_, namespace)) = &state.running {
                // The session reports the processes that are left.
                let _ = namespace.kill_all();
            }
            drop(state);
            connection.changed.notify_all();
        })
    }

    /// Handles a frame. Returns whether it is valid.
    fn handle_frame(&self, kind: Kind, payload: &[u8]) -> bool {
        let mut state = self.state();
        match kind {
            Kind::Input => {
                let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
                // Input that was not requested would cost memory.
                let Some(left) = state.granted.checked_sub(length) else {
                    return false;
                };
                state.granted = left;
                state.input.extend(payload);
            }
            Kind::InputEnd => state.input_ended = true,
            Kind::Signal => {
                let signal = payload.first().map(|number| i32::from(*number));
                let signal = SIGNALS.iter().find(|known| Some(**known as i32) == signal);
                match (signal, &state.running) {
                    (Some(signal), Some((pid, _))) => {
                        send_signal(*pid, *signal);
                        if ENDING.contains(signal) {
                            state.ended_by.get_or_insert(*signal);
                        }
                    }
                    // By default it ends a process.
                    (Some(signal), None) if *signal != Signal::SIGWINCH => {
                        state.pending_signal.get_or_insert(*signal);
                    }
                    _ => {}
                }
            }
            Kind::Resize => {
                state.size = Size::read(payload).or(state.size);
                if let (Some(size), Some(terminal)) = (state.size, &state.terminal) {
                    // The process may have closed it.
                    let _ = pty::resize(terminal, size);
                }
            }
            _ => return false,
        }
        drop(state);
        self.changed.notify_all();
        true
    }

    /// Returns up to `limit` bytes of input, and requests more from the client. The result is empty at the end of the input.
    fn read_input(&self, limit: usize) -> Vec<u8> {
        let mut state = self.state();
        loop {
            if state.closed
                || state.pending_signal.is_some()
                || (state.input.is_empty() && state.input_ended)
            {
                return Vec::new();
            }
            if !state.input.is_empty() {
                let count = state.input.len().min(limit);
                return state.input.drain(..count).collect();
            }
            if state.granted < CHUNK as u32 {
                let more = WINDOW - state.granted;
                state.granted = WINDOW;
                drop(state);
                let _ = self.send(Kind::Wanted, &more.to_be_bytes());
                state = self.state();
            } else {
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Reads the whole input, up to [`SMALL_FILE`] bytes.
    pub(super) fn read_all_input(&self) -> std::result::Result<Vec<u8>, Rejected> {
        let mut whole = Vec::new();
        loop {
            let part = self.read_input(CHUNK);
            if part.is_empty() {
                return Ok(whole);
            }
            whole.extend(part);
            if whole.len() as u64 > SMALL_FILE {
                return Err(Rejected::InputTooLarge);
            }
        }
    }

    /// Forwards signals to this process from now on, and those that came before. Kills it when the connection closes.
    pub(super) fn attach(&self, pid: i32, namespace: Namespace, terminal: Option<File>) {
        let mut state = self.state();
        if let (Some(size), Some(terminal)) = (state.size, &terminal) {
            // On an error it keeps the size of the greeting.
            let _ = pty::resize(terminal, size);
        }
        state.terminal = terminal;
        if state.closed {
            let _ = namespace.kill_all();
        }
        if let Some(signal) = state.pending_signal {
            send_signal(pid, signal);
            state.ended_by = Some(signal);
        }
        state.running = Some((pid, namespace));
    }

    /// Kills the processes that are left.
    ///
    /// # Errors
    /// Their pids, if they do not end.
    pub(super) fn kill_process(&self) -> std::result::Result<(), Vec<i32>> {
        let mut state = self.state();
        state.terminal = None;
        let running = state.running.take();
        drop(state);
        running.map_or(Ok(()), |(_, namespace)| namespace.kill_all())
    }

    /// Starts a thread that sends output to the client.
    pub(super) fn spawn_output(
        self: &Arc<Self>,
        mut from: impl Read + Send + 'static,
        kind: Kind,
    ) -> Result<JoinHandle<()>> {
        let connection = Arc::clone(self);
        let relay = move || {
            let mut buffer = vec![0; CHUNK];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                if connection.send(kind, &buffer[..count]).is_err() {
                    break;
                }
            }
        };
        thread(relay)
    }

    /// Starts a thread that forwards the client's input until either end closes.
    pub(super) fn spawn_input(self: &Arc<Self>, mut to: UnixStream) -> Result<JoinHandle<()>> {
        let connection = Arc::clone(self);
        thread(move || {
            loop {
                let part = connection.read_input(CHUNK);
                if part.is_empty() || to.write_all(&part).is_err() {
                    return;
                }
            }
        })
    }
}

fn exit_code(ended: Ended, signal: Option<Signal>) -> u8 {
    match (ended.code(), signal) {
        (0, _) => 0,
        (_, Some(signal)) => from_signal(signal as i32),
        (code, None) => code,
    }
}

/// Signals the process group. A process that creates a session has no group at its very beginning.
fn send_signal(pid: i32, signal: Signal) {
    if libc_ext::kill(-pid, signal as i32).is_err() {
        // It may have ended meanwhile.
        let _ = libc_ext::kill(pid, signal as i32);
    }
}

fn thread(work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    Builder::new().stack_size(STACK).spawn(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forwarded_signal_decides_the_code_of_a_failure() {
        let interrupted = Some(Signal::SIGINT);
        assert_eq!(exit_code(Ended::Exited(1), interrupted), 130);
        assert_eq!(exit_code(Ended::Signaled(9), interrupted), 130);
        assert_eq!(exit_code(Ended::Exited(0), interrupted), 0);
        assert_eq!(exit_code(Ended::Exited(7), None), 7);
        assert_eq!(exit_code(Ended::Signaled(9), None), 137);
    }
}
