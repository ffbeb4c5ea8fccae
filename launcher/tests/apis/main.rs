//! Launches against stand-ins of GitHub's and Kubernetes' APIs, which hold objects for real and check every request.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub
)]

mod collected;
mod followed;
mod github;
mod killed;
mod lab;
mod launches;
mod rights;
#[path = "../standin/mod.rs"]
mod standin;
