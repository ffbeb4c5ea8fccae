//! The end of a GitHub job, with a fake of GitHub's runner that has the timing and the output of the real one.
//!
//! `tests/fakes/github-runner` has the fake, its service, and the results of the real runner.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod default_settings;
mod ends;
mod fake;
mod last_words;
mod likeness;
mod listener;
mod page;
mod reach;
