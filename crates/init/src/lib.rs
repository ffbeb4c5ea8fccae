//! The duties of an init: it forwards signals, reaps orphans, and lets no process outlive the runner.
//!
//! [`supervise`] is the watch over a runner; the other modules are its parts.

pub mod reap;
pub mod runner_state;
pub mod signals;
pub mod spawn;
mod steps;
pub mod supervise;
pub mod survivors;
pub mod terminal;
pub mod terminate;
mod worker;

/// Whether this process is the init of its PID namespace.
#[must_use]
pub fn is_pid_1() -> bool {
    nix::unistd::getpid().as_raw() == 1
}
