//! Tests of the wipe with hostile trees, as root and as uid 1000, on real file systems. They need root, and the
//! Debian packages e2fsprogs, uidmap and util-linux.

// Helpers outside of test functions may panic too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod budget;
mod command;
mod concurrent_writer;
mod deep;
mod file_types;
mod fixture;
mod hidden;
mod leftovers;
mod memory;
mod modes;
mod mounts;
mod names;
mod order;
mod process;
mod property;
mod races;
mod refusals;
mod run;
mod runner_state;
mod subordinate;
mod wide;
