//! What makes us an init: signals are passed on, orphans reaped, and nobody outlives the runner.

pub mod guide;
mod processes;
pub mod reap;
pub mod signals;
pub mod spawn;
mod steps;
pub mod supervise;
pub mod survivors;
pub mod terminal;
pub mod terminate;

/// Whether this process is the init of its PID namespace.
#[must_use]
pub fn is_pid_1() -> bool {
    nix::unistd::getpid().as_raw() == 1
}
