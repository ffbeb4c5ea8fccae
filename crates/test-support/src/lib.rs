//! What the tests of several crates share. Helpers panic on errors, which fails the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod eventually;

pub use eventually::{Attempt, Patience, eventually, eventually_or};
