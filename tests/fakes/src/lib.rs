//! Fakes of the CI vendors' programs, for tests: they have the published contracts, and need no vendor.
//!
//! `programs/` holds one file for each. Two crates make a program of it: the supervisor as an example, which
//! `cargo test -p supervisor` builds, and `end-to-end` as a binary, for images.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod circleci_runner;
pub mod runner_listener;
