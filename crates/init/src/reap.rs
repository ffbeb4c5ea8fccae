//! Reaping: every child that ended is waited for, and the runner's status is picked out of the crowd.

use nix::errno::Errno;
use nix::unistd::Pid;

use linux::libc_ext;
use report::exit;

/// How the runner ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It called exit(3).
    Exited(u8),
    /// A signal ended it.
    Signaled(i32),
}

impl Ended {
    /// The code a shell would show: its own, or 128+n.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Exited(code) => code,
            Self::Signaled(signal) => exit::from_signal(signal),
        }
    }
}

/// What one round of reaping found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// The runner's end, if it was among them.
    pub(crate) runner: Option<Ended>,
    /// The end of its worker, whose parent we are only if the runner has ended.
    pub(crate) worker: Option<Ended>,
    /// Others that ended.
    pub(crate) orphans: u64,
    /// No child is left, running or dead.
    pub childless: bool,
    /// There may be more that have ended.
    pub(crate) unfinished: bool,
}

/// A job may end processes as fast as we reap them: whoever asks looks at the clock in between.
const BATCH: usize = 4096;

/// Waits for the children that have ended, without blocking, a few thousand at a time.
///
/// SIGCHLD coalesces, so one signal may stand for any number of them.
#[must_use]
pub fn all(runner: Option<Pid>, worker: Option<Pid>) -> Round {
    let mut round = Round::default();
    for _ in 0..BATCH {
        match libc_ext::reap_one() {
            Ok(Some(child)) => {
                let ended = child.exit_code().map(Ended::Exited);
                let ended = ended.unwrap_or_else(|| Ended::Signaled(child.signal()));
                match Some(Pid::from_raw(child.pid)) {
                    pid if pid == runner => round.runner = Some(ended),
                    pid if pid == worker => round.worker = Some(ended),
                    _ => round.orphans += 1,
                }
            }
            Ok(None) => return round,
            Err(Errno::EINTR) => {}
            Err(_) => {
                round.childless = true;
                return round;
            }
        }
    }
    round.unfinished = true;
    round
}
