//! The contract of GitHub's runner, row by row, in real PID namespaces.
//!
//! `tests/fakes/src/runner_listener.rs` and `actions-runner` take the place of GitHub's programs and name their sources.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod ends;
mod fake;
mod hooks;
mod signals;
mod start;
mod tokens;

const SUPERVISOR: &str = env!("CARGO_BIN_EXE_supervisor");
