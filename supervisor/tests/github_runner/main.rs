//! The end of a GitHub job, with a double of GitHub's runner that has the timing and the output of the real one.
//!
//! `tests/fakes/github-runner` has the double, its service, and the results of the real runner.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod default_settings;
mod double;
mod ends;
mod last_words;
mod likeness;
mod listener;
mod reach;
