//! The signals that the listener handles, and the exit code that follows from them.

use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::directory::note;
use super::exit_code::SUCCESS;

/// Runner.cs: CtrlCHandler for SIGINT and Runner_Unloading for SIGTERM.
pub(super) struct Signals(SignalFd);

impl Signals {
    pub(super) fn handle(handled: &[Signal]) -> Self {
        let set: SigSet = handled.iter().copied().collect();
        set.thread_block().unwrap();
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        Self(SignalFd::with_flags(&set, flags).unwrap())
    }

    /// Waits a moment for one.
    pub(super) fn wait(&self) -> Option<Signal> {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::from(20u8)).unwrap();
        let read = self.0.read_signal().unwrap()?;
        Signal::try_from(read.ssi_signo as i32).ok()
    }
}

/// Whether the end was asked for in this moment.
pub(super) fn received(signals: &Signals) -> Option<Signal> {
    let signal = signals.wait()?;
    note(&format!("listener: {signal}"));
    println!("Exiting...");
    Some(signal)
}

/// Program.cs: after Ctrl-C the runner ends with success; .NET itself ends with 143 after SIGTERM.
pub(super) fn ended(shutdown: Option<Signal>) -> i32 {
    match shutdown {
        Some(Signal::SIGTERM) => 143,
        _ => SUCCESS,
    }
}
