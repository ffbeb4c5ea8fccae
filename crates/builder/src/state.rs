//! What all sessions share.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::children::Children;
use super::credentials::Credentials;
use super::isolation::{Isolation, IsolationChoice};
use super::operation_dir::OperationDirs;
use super::paths::Workspace;
use super::semaphore::Semaphore;
use super::settings::Settings;

/// Tries a way to isolate RUN steps; the reason where it does not work.
pub(super) type ProbeFn = fn(&Arc<Builder>, Isolation) -> Result<(), String>;

/// What all sessions share.
#[derive(Debug)]
pub(super) struct Builder {
    pub(super) settings: Settings,
    pub(super) workspace: Workspace,
    pub(super) credentials: Credentials,
    pub(super) children: Arc<Children>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) permits: Semaphore,
    pub(super) operation_dirs: OperationDirs,
    pub(super) clients: AtomicUsize,
    pub(super) isolation: IsolationChoice,
    /// Given rather than called by name: the attempt is a session, and a session asks for the isolation.
    pub(super) probe: ProbeFn,
}

impl Builder {
    /// How RUN steps are isolated: who asks first waits for the trials.
    pub(super) fn isolation(self: &Arc<Self>) -> Isolation {
        self.isolation
            .get_or_probe(|isolation| (self.probe)(self, isolation))
    }

    /// What no process of Buildah sees.
    pub(super) fn hidden(&self) -> Vec<PathBuf> {
        let socket = self.settings.socket.parent().unwrap_or(Path::new("/"));
        vec![self.settings.secrets_directory.clone(), socket.to_owned()]
    }
}
