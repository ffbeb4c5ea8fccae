//! Fakes of the APIs of GitHub and Kubernetes, on one port each. They store objects and validate every request.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

pub mod github;
mod jwt;
pub mod kube;
mod kube_api;
pub mod kube_store;
mod rejection;
pub mod server;

use std::sync::Arc;

use github::Github;
use kube::Kube;
use server::Server;

/// Both fakes. A pod that starts in the one uses its runner in the other.
pub struct FakeApis {
    pub github: Arc<Github>,
    pub kube: Arc<Kube>,
    pub github_server: Server,
    pub kube_server: Server,
}

impl FakeApis {
    pub fn start() -> Self {
        let github = Arc::new(Github::default());
        let kube = Arc::new(Kube::new(github.clone()));
        let (of_github, of_kube) = (github.clone(), kube.clone());
        Self {
            github_server: Server::start(move |request| of_github.respond(request)),
            kube_server: Server::start(move |request| of_kube.respond(request)),
            github,
            kube,
        }
    }
}
