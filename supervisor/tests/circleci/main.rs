//! The contract of CircleCI's machine runner 3, row by row, in real PID namespaces.
//!
//! `tests/fakes/src/circleci_runner.rs` takes the place of CircleCI's program and names its sources.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod contract;
mod fake;
mod thief;

const SUPERVISOR: &str = env!("CARGO_BIN_EXE_supervisor");
