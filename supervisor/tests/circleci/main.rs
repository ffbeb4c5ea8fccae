//! The contract of CircleCI's machine runner 3, row by row, in real PID namespaces.
//!
//! `tests/fakes/src/circleci_runner.rs` takes the place of CircleCI's program and names its sources.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod contract;
mod fake;
#[path = "../init/namespace.rs"]
#[allow(dead_code, reason = "shared with the tests of the init")]
mod namespace;
mod thief;
