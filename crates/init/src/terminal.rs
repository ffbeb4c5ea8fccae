//! The controlling terminal: lent to the runner's group, taken back while it is stopped and at the end.
//!
//! Source: tcsetpgrp(3), and "Job control" in credentials(7).

use std::io::stdin;

use nix::sys::termios::{FlowArg, SetArg, Termios, tcflow, tcgetattr, tcsetattr};
use nix::unistd::{Pid, getpgrp, tcgetpgrp, tcsetpgrp};

/// The terminal on stdin, if it is ours to lend.
#[derive(Debug)]
pub struct Terminal {
    ours: Pid,
    modes: Option<Termios>,
}

impl Terminal {
    /// Finds a controlling terminal in whose foreground we are.
    ///
    /// In the background it belongs to someone else, and taking it would stop them.
    #[must_use]
    pub fn find() -> Option<Self> {
        let ours = getpgrp();
        let foreground = tcgetpgrp(stdin()).ok()?;
        // 0: no foreground group at all, as in a container whose shell has not started.
        (foreground == ours || foreground.as_raw() == 0).then(|| Self {
            ours,
            modes: tcgetattr(stdin()).ok(),
        })
    }

    /// Makes `group` the foreground if it is ours that has it, as after a shell's `fg`.
    pub(crate) fn lend(&self, group: Pid) {
        if tcgetpgrp(stdin()) == Ok(self.ours) {
            // After a hang-up there is nothing to lend.
            let _ = tcsetpgrp(stdin(), group);
        }
    }

    /// Makes our own group the foreground again. SIGTTOU is blocked in us, so this cannot stop us.
    pub fn take_back(&self) {
        if let Err(errno) = tcsetpgrp(stdin(), self.ours) {
            // After a hang-up there is nothing to take back.
            tracing::debug!(%errno, "the terminal was not taken back");
            return;
        }
        // A runner that was killed leaves its modes behind, and one that means harm a terminal that prints nothing.
        let _ = tcflow(stdin(), FlowArg::TCOON);
        if let Some(modes) = &self.modes {
            let _ = tcsetattr(stdin(), SetArg::TCSANOW, modes);
        }
    }
}
