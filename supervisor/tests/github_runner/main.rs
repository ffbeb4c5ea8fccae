//! The end of a job of GitHub's, with a double of GitHub's runner that is as slow and as silent as the real one.
//!
//! `tests/standins/github-runner` has the double, the service that it talks to, and what the real one showed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod default_settings;
mod double;
mod ends;
mod last_words;
mod likeness;
mod listener;
mod reach;
