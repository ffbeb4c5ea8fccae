//! Launches against stand-ins of GitHub's and Kubernetes' APIs, which hold objects for real and check every request.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub
)]

mod crash;
#[path = "../fakes/apis.rs"]
mod fakes;
mod fixture;
mod follow;
mod gc;
mod github;
mod launches;
mod rights;
