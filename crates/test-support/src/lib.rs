//! What the tests of several crates share. Helpers panic on errors, which fails the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod eventually;
pub mod hostile_tree;
mod namespace;
pub mod procfs;
mod running;

pub use eventually::{Attempt, Patience, eventually, eventually_or};
pub use namespace::Fixture;
pub use running::{Ended, Running};

/// ptrace(2)'s number, for the perl that calls it.
pub const PTRACE: u32 = if cfg!(target_arch = "x86_64") {
    101
} else {
    117
};
