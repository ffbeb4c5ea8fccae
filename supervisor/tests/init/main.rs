//! The supervisor as an init, in real PID namespaces and with real signals. Needs root.
//!
//! `docs/pid1.md` says which test of tini's, dumb-init's and catatonit's suites is in which file.

// Helpers outside of the test functions may fail loudly too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod exit;
mod no_target;
mod not_pid_1;
mod nothing_skipped;
mod reaping;
mod signals;
mod survivors;
mod terminal;
mod termination;

const SUPERVISOR: &str = env!("CARGO_BIN_EXE_supervisor");
