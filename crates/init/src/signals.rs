//! Signals as data: all that can be are blocked and read from a signalfd(2).
//!
//! A blocked signal waits for us until we read it, real-time signals queue instead of coalescing, and no code of ours
//! runs in a handler.

use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use linux::libc_ext;

/// A signal's number; real-time signals have no name in [`Signal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number(pub i32);

impl Number {
    /// The signal's name, `SIGRTMIN`-based ones by number.
    #[must_use]
    pub fn name(self) -> String {
        match Signal::try_from(self.0) {
            Ok(signal) => signal.to_string(),
            Err(_) => format!("signal {}", self.0),
        }
    }
}

/// Raised by the processor or by abort(3) in this very thread: blocking them would only hide a defect.
const SYNCHRONOUS: [Signal; 7] = [
    Signal::SIGABRT,
    Signal::SIGBUS,
    Signal::SIGFPE,
    Signal::SIGILL,
    Signal::SIGSEGV,
    Signal::SIGSYS,
    Signal::SIGTRAP,
];

/// All signals sent to this process.
#[derive(Debug)]
pub struct Signals {
    fd: SignalFd,
}

impl Signals {
    /// Blocks every signal that can be and opens the descriptor they are read from.
    ///
    /// # Errors
    /// As sigprocmask(2), sigaction(2) and signalfd(2).
    pub fn block() -> Result<Self, Errno> {
        let mut mask = SigSet::all();
        for signal in SYNCHRONOUS {
            mask.remove(signal);
        }
        mask.thread_block()?;
        // An inherited SIG_IGN of SIGCHLD would make the kernel reap the runner, and its status would be lost; the
        // runner inherits the others. The runtime's handlers would abort on a forged fault; without them the kernel
        // drops what an init is sent.
        for number in 1..=libc_ext::last_signal() {
            // SIGKILL, SIGSTOP and the C library's own have no other disposition anyway.
            let _ = libc_ext::default_disposition(number);
        }
        let fd = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Self { fd })
    }

    /// The next signal that waits, if any.
    ///
    /// # Errors
    /// As read(2) on a signalfd.
    pub fn next(&self) -> Result<Option<Received>, Errno> {
        Ok(self.fd.read_signal()?.map(|info| Received {
            number: Number(i32::try_from(info.ssi_signo).unwrap_or(0)),
            sender: info.ssi_pid,
            code: info.ssi_code,
        }))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A signal and who sent it.
#[derive(Debug, Clone, Copy)]
pub struct Received {
    /// Which signal.
    pub number: Number,
    /// The sender's pid in our namespace; 0 for one outside of it.
    pub sender: u32,
    /// How it came about, `si_code` in sigaction(2).
    pub code: i32,
}

/// What is to be done with a received signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalAction {
    /// A child changed its state.
    Child,
    /// The job is to end.
    Terminate,
    /// Job control stops the runner, and us with it.
    Suspend,
    /// Job control lets it go on.
    Resume,
    /// The runner's business alone.
    Forward,
    /// Dropped: SIGPIPE of our own write, which has already returned EPIPE.
    Ignore,
}

impl Received {
    fn is_one_of(self, signals: &[Signal]) -> bool {
        signals.iter().any(|signal| *signal as i32 == self.number.0)
    }

    /// Whether it comes from the kernel, or by kill(2) from outside of our PID namespace. Whoever queues a signal writes
    /// the sender himself, but his code is negative, rt_sigqueueinfo(2).
    #[must_use]
    pub fn is_from_outside(self) -> bool {
        self.sender == 0 && self.code >= 0
    }

    /// What is to be done with it.
    #[must_use]
    pub fn action(self) -> SignalAction {
        if self.is_one_of(&[Signal::SIGCHLD]) {
            SignalAction::Child
        } else if self.is_one_of(&[Signal::SIGPIPE]) && self.sender == std::process::id() {
            SignalAction::Ignore
        } else if self.is_one_of(&[Signal::SIGTERM]) {
            SignalAction::Terminate
        } else if self.is_one_of(&[Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU]) {
            SignalAction::Suspend
        } else if self.is_one_of(&[Signal::SIGCONT]) {
            SignalAction::Resume
        } else {
            SignalAction::Forward
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_pipe_of_our_own_is_not_the_runners_business() {
        let broken_pipe = |sender| Received {
            number: Number(Signal::SIGPIPE as i32),
            sender,
            code: 0,
        };
        assert_eq!(
            broken_pipe(std::process::id()).action(),
            SignalAction::Ignore
        );
        assert_eq!(broken_pipe(0).action(), SignalAction::Forward);
    }

    #[test]
    fn a_sender_inside_the_namespace_is_not_taken_for_one_outside() {
        let outside = |sender, code| {
            Received {
                number: Number(Signal::SIGTERM as i32),
                sender,
                code,
            }
            .is_from_outside()
        };
        assert!(outside(0, nix::libc::SI_USER) && outside(0, nix::libc::SI_KERNEL));
        assert!(!outside(7, nix::libc::SI_USER));
        assert!(!outside(0, nix::libc::SI_QUEUE) && !outside(0, nix::libc::SI_TKILL));
    }

    #[test]
    fn each_signal_has_one_action() {
        let action = |number| {
            Received {
                number: Number(number),
                sender: 0,
                code: 0,
            }
            .action()
        };
        assert_eq!(action(Signal::SIGCHLD as i32), SignalAction::Child);
        assert_eq!(action(Signal::SIGTERM as i32), SignalAction::Terminate);
        assert_eq!(action(Signal::SIGTSTP as i32), SignalAction::Suspend);
        assert_eq!(action(Signal::SIGCONT as i32), SignalAction::Resume);
        for forwarded in [Signal::SIGINT, Signal::SIGHUP, Signal::SIGWINCH] {
            assert_eq!(action(forwarded as i32), SignalAction::Forward);
        }
        assert_eq!(action(40), SignalAction::Forward);
    }
}
