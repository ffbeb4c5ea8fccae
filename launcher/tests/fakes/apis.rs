//! Stand-ins of GitHub's and Kubernetes' APIs, on one port each, which hold objects for real and check every request.

#![allow(dead_code)] // each program uses its own part

pub mod github;
pub mod kube;
pub mod kube_store;
pub mod server;

use std::sync::Arc;

use github::Github;
use kube::Kube;
use server::Server;

/// Both, knowing of each other: a pod that starts uses its runner.
pub struct World {
    pub github: Arc<Github>,
    pub kube: Arc<Kube>,
    pub github_server: Server,
    pub kube_server: Server,
}

impl World {
    pub fn start() -> Self {
        let github = Arc::new(Github::default());
        let kube = Arc::new(Kube::new(github.clone()));
        let (of_github, of_kube) = (github.clone(), kube.clone());
        Self {
            github_server: Server::start(move |request| of_github.answer(request)),
            kube_server: Server::start(move |request| of_kube.answer(request)),
            github,
            kube,
        }
    }
}
