//! One operation of the builder: a command line, and everything that it may see.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::command::BuildahCommand;
use super::credentials::Authfile;
use super::facts::Product;
use super::operation_dir::Medium;

/// A path of the job that an operation may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Input {
    /// The path relative to the workspace.
    pub relative: PathBuf,
    /// Where the operation sees it.
    pub mount_point: PathBuf,
    /// Whether the operation may write there.
    pub writable: bool,
    /// Whether programs in it may be executed. RUN steps mount a context.
    pub executable: bool,
    /// How a build sees the directory of a context. `None` if it sees it as it is.
    pub view: Option<View>,
}

/// What a build sees of a context: all but the ignored files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct View {
    /// The name of the ignore file in the operation's own directory in memory. `None` if nothing is ignored.
    pub ignore: Option<String>,
    /// Whether an overlay mount is tried. Its upper directory takes what the build writes.
    pub overlay: bool,
    /// Whether ignored files are covered by empty ones if no overlay is mounted. Only Buildah's own ignore file keeps those
    /// out of an image.
    pub masks: bool,
}

/// A file that an operation writes for the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Output {
    /// Its name in the operation's own directory.
    pub name: String,
    /// The half of that directory that holds it.
    pub medium: Medium,
    /// The job's path, relative to the workspace.
    pub relative: PathBuf,
    /// Whether the file is an archive to unpack into that path.
    pub unpack: bool,
}

/// A private file that only this operation sees.
#[derive(Debug)]
pub(crate) struct PrivateFile {
    /// Its name in the operation's own directory, in memory.
    pub name: String,
    /// Its content.
    pub content: Authfile,
}

/// The standard input of an operation.
#[derive(Debug, Default)]
pub(crate) enum Stdin {
    /// It is empty.
    #[default]
    Nothing,
    /// It comes from the client.
    Client,
    /// It is this content.
    Given(Authfile),
}

/// The standard output of an operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Stdout {
    /// Text for the client. It is a terminal if the client has one.
    #[default]
    Text,
    /// Bytes for the client, which must not pass a terminal.
    Binary,
    /// It goes to /dev/null.
    Dropped,
}

/// The program that an operation executes.
#[derive(Debug)]
pub(crate) enum Program {
    /// Buildah.
    Buildah(BuildahCommand),
    /// Another program of the builder's image.
    Other {
        /// Its name, found in PATH.
        name: &'static str,
        /// Its arguments.
        arguments: Vec<String>,
    },
}

impl Default for Program {
    fn default() -> Self {
        Self::Buildah(BuildahCommand::default())
    }
}

impl Program {
    /// Returns the name of the program.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Buildah(_) => "buildah",
            Self::Other { name, .. } => name,
        }
    }

    /// Returns the arguments of the program, without its name.
    pub(crate) fn arguments(&self) -> Vec<String> {
        match self {
            Self::Buildah(command) => command.render(),
            Self::Other { arguments, .. } => arguments.clone(),
        }
    }
}

/// What an operation may do, and what it needs for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grants {
    /// It sees Buildah's storage.
    pub storage: bool,
    /// It executes RUN steps, so code of the job runs in it. All its processes are killed at its end.
    pub run_steps: bool,
    /// It waits for a permit first.
    pub permit: bool,
    /// It changes the job's credentials: its authfile is read back.
    pub login: bool,
    /// Its memory is bounded by [`MEMORY`](crate::sandbox::MEMORY). skopeo reads the text of an error to its end.
    pub bounded: bool,
}

impl Default for Grants {
    fn default() -> Self {
        Self {
            storage: true,
            run_steps: false,
            permit: false,
            login: false,
            bounded: false,
        }
    }
}

/// Everything about one operation.
#[derive(Debug, Default)]
pub(crate) struct Operation {
    /// What it executes.
    pub program: Program,
    /// What it may do.
    pub grants: Grants,
    /// The job's paths that it sees.
    pub inputs: Vec<Input>,
    /// A file on the volume, in another operation's directory: that directory's name and the file's. This operation sees
    /// it at [`SandboxPaths::archive`].
    pub archive: Option<PathBuf>,
    /// The files that it writes for the job.
    pub outputs: Vec<Output>,
    /// Its private files.
    pub files: Vec<PrivateFile>,
    /// Its credentials.
    pub authfile: Authfile,
    /// Its standard input.
    pub stdin: Stdin,
    /// Its standard output.
    pub stdout: Stdout,
    /// What it makes.
    pub product: Product,
    /// Operations that come first: pulls with credentials that a build must not see.
    pub before: Vec<Operation>,
}

/// The directories of an operation, as its processes see them.
#[derive(Debug, Clone)]
pub(crate) struct SandboxPaths {
    /// The operation's own directory in memory.
    pub memory: PathBuf,
    /// The operation's own directory on the builder's volume.
    pub disk: PathBuf,
    /// The directory beneath which the job's paths are mounted.
    pub inputs: PathBuf,
    /// The workspace. Only the context is visible in it.
    pub workspace: PathBuf,
}

impl SandboxPaths {
    /// Returns the path of the archive that comes from another operation.
    #[must_use]
    pub(crate) fn archive(&self) -> PathBuf {
        self.inputs.join("archive")
    }

    /// Returns the path of the authfile.
    #[must_use]
    pub(crate) fn authfile(&self) -> PathBuf {
        self.memory.join(AUTHFILE)
    }
}

/// The name of the authfile in the operation's own directory.
pub(crate) const AUTHFILE: &str = "auth.json";
