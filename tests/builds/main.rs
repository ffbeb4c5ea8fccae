//! Builds in another container work for an honest job as if they ran in its own.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod builder;
mod conversation;
mod files;
mod registries;
mod rights;
mod views;

use std::sync::Arc;

use support::Pod;

/// The image that most builds here start from.
const BASE: &str = "127.0.0.1:5000/base:trixie";

/// The pod of all tests that need none of their own.
fn pod() -> Arc<Pod> {
    Pod::shared(&[], r#"{"auths":{}}"#)
}

/// In a RUN step: waits until the job listens on a port, which both share.
fn until_open(port: u16) -> String {
    format!("until (: </dev/tcp/127.0.0.1/{port}) 2>/dev/null; do sleep 0.05; done")
}

/// In the job: listens on a port until it is killed, as `$listener`.
fn open(port: u16) -> String {
    format!(
        "node -e \"require('net').createServer(s => s.end()).listen({port}, '127.0.0.1')\" & listener=$!"
    )
}
