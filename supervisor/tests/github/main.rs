//! The contract of GitHub's runner, row by row, in real PID namespaces.
//!
//! `tests/standins/runner_listener.rs` and `actions-runner` stand in for GitHub's programs and name their sources.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod ends;
mod hooks;
#[path = "../init/namespace.rs"]
#[allow(dead_code, reason = "shared with the tests of the init")]
mod namespace;
mod signals;
mod standin;
mod start;
mod tokens;
