//! The state that all sessions share.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::build_memory::BuildMemory;
use super::children::Children;
use super::credentials::Credentials;
use super::error::OperationError;
use super::facts::Facts;
use super::isolation::{Isolation, IsolationChoice, ProbeError};
use super::operation::{Operation, SandboxPaths};
use super::operation_dir::{OperationDir, OperationDirs};
use super::paths::Workspace;
use super::protocol::Size;
use super::relay::Connection;
use super::semaphore::Semaphore;
use super::settings::Settings;

/// Probes an isolation of RUN steps.
pub(super) type ProbeFn = fn(&Arc<Builder>, Isolation) -> Result<(), ProbeError>;

/// Executes an operation, and returns its exit code. None of its processes is left afterwards.
pub(super) type ExecuteFn = fn(&Execution<'_>) -> Result<u8, OperationError>;

/// One operation of a session, and what its execution needs.
#[derive(Debug)]
pub(super) struct Execution<'a> {
    pub(super) builder: &'a Builder,
    pub(super) connection: &'a Arc<Connection>,
    /// The size of the client's terminal, if it has one.
    pub(super) terminal: Option<Size>,
    pub(super) paths: &'a SandboxPaths,
    pub(super) directory: &'a OperationDir,
    pub(super) operation: &'a Operation,
}

/// One builder.
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
    pub(super) memory: BuildMemory,
    /// What the job's operations made.
    pub(super) facts: Facts,
    pub(super) isolation: IsolationChoice,
    /// A pointer rather than a call: the probe is a session, and sessions use this module.
    pub(super) probe: ProbeFn,
    /// A pointer, so that the tests of sessions need no sandbox.
    pub(super) execute: ExecuteFn,
}

impl Builder {
    /// Returns the isolation of RUN steps. The first caller runs the probes.
    pub(super) fn isolation(self: &Arc<Self>) -> Isolation {
        self.isolation
            .get_or_probe(|isolation| (self.probe)(self, isolation))
    }

    /// Returns the directories that no process of Buildah sees.
    pub(super) fn hidden(&self) -> Vec<PathBuf> {
        let socket = self.settings.socket.parent().unwrap_or(Path::new("/"));
        vec![self.settings.secrets_directory.clone(), socket.to_owned()]
    }
}
