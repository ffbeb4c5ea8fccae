//! Tests of the launcher against fakes of the APIs of GitHub and Kubernetes, which store objects and validate every request.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub
)]

mod command_line;
mod crash;
mod fixture;
mod follow;
mod gc;
mod github;
mod github_failures;
mod launches;
mod rights;
