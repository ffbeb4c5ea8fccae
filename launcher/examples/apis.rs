//! The stand-ins of GitHub's and Kubernetes' APIs, for scripts/bench.sh: prints their addresses, and what was asked once
//! its standard input ends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    dead_code
)]

#[path = "../tests/fakes/apis.rs"]
mod fakes;

use std::io::Read as _;
use std::time::Duration;

fn main() {
    let latency = std::env::args()
        .nth(1)
        .unwrap_or_default()
        .parse()
        .unwrap_or(0);
    let world = fakes::World::start();
    for server in [&world.github_server, &world.kube_server] {
        server.latency(Duration::from_millis(latency));
    }
    println!("{} {}", world.github_server.url(), world.kube_server.url());
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    let (github, kubernetes) = (
        world.github_server.requests().len(),
        world.kube_server.requests().len(),
    );
    println!("{github} {kubernetes} {}", world.kube.starts().len());
}
