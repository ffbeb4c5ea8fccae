//! One thing that the builder does for a job: a command line of Buildah, and all that it may see.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::credentials::{Authfile, Credentials};

/// A path of the job that Buildah is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Relative to the workspace.
    pub relative: PathBuf,
    /// Where Buildah finds it.
    pub place: PathBuf,
    /// Whether Buildah may write there.
    pub writable: bool,
    /// Whether programs in it may be run: RUN steps mount what is a context.
    pub executable: bool,
}

/// A file that Buildah writes for the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Output {
    /// Where Buildah writes it.
    pub place: PathBuf,
    /// Relative to the workspace.
    pub relative: PathBuf,
    /// A file system to unpack into that directory, rather than a file.
    pub unpack: bool,
}

/// A private file that only this operation sees.
#[derive(Debug)]
pub(crate) struct Private {
    /// Its name in the operation's own directory.
    pub name: String,
    /// Its content.
    pub content: Authfile,
}

/// Where standard input comes from.
#[derive(Debug, Default)]
pub(crate) enum Stdin {
    /// There is none.
    #[default]
    Nothing,
    /// From the client.
    Client,
    /// From us.
    Given(Authfile),
}

/// Everything about one operation.
#[derive(Debug, Default)]
pub(crate) struct Operation {
    /// Another program than Buildah.
    pub program: Option<&'static str>,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Whether it works on its own files alone, and the storage is not there for it.
    pub storageless: bool,
    /// The job's paths.
    pub inputs: Vec<Input>,
    /// A file of another operation's directory on the builder's volume, that directory's name before it; it is found at
    /// [`Places::archive`].
    pub archive: Option<PathBuf>,
    /// The job's files that come of it.
    pub outputs: Vec<Output>,
    /// Files of ours.
    pub files: Vec<Private>,
    /// Credentials.
    pub authfile: Authfile,
    /// Standard input.
    pub stdin: Stdin,
    /// Whether standard output is data rather than text.
    pub raw: bool,
    /// Whether it has RUN steps.
    pub builds: bool,
    /// Whether it waits for its turn.
    pub heavy: bool,
    /// Whether the authfile comes back as the job's own credentials.
    pub login: bool,
    /// What has to be done first: pulls that need credentials which a build must not see.
    pub before: Vec<Operation>,
}

impl Operation {
    /// An operation with the job's own credentials only.
    #[must_use]
    pub(crate) fn with_job(credentials: &Credentials) -> Self {
        Self {
            authfile: credentials.of_job(),
            ..Self::default()
        }
    }
}

/// Directories of an operation, as Buildah sees them.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// The operation's own directory, in memory.
    pub own: PathBuf,
    /// The job's paths.
    pub inputs: PathBuf,
    /// The operation's own directory on the builder's volume, which is seen here too.
    pub disk: PathBuf,
    /// The shared directory, of which Buildah sees only the context.
    pub workspace: PathBuf,
}

impl Places {
    /// Where an operation finds the file of another one that it was given.
    #[must_use]
    pub(crate) fn archive(&self) -> PathBuf {
        self.inputs.join("archive")
    }
}
