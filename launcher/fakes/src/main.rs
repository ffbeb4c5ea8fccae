//! The fake APIs of GitHub and Kubernetes as a program, for scripts/bench.sh.
//!
//! It prints their addresses. Once its standard input ends, it prints the number of requests to each, and of started pods.
#![allow(clippy::unwrap_used)]

use std::io::Read as _;
use std::time::Duration;

fn main() {
    let latency = std::env::args()
        .nth(1)
        .unwrap_or_default()
        .parse()
        .unwrap_or(0);
    let apis = fake_apis::FakeApis::start();
    for server in [&apis.github_server, &apis.kube_server] {
        server.latency(Duration::from_millis(latency));
    }
    println!("{} {}", apis.github_server.url(), apis.kube_server.url());
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    let (github, kubernetes) = (
        apis.github_server.requests().len(),
        apis.kube_server.requests().len(),
    );
    println!("{github} {kubernetes} {}", apis.kube.starts().len());
}
