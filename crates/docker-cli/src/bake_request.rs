//! What a command line of `docker buildx bake` requests.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// A definition, and what is to be done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bake {
    /// The command, for messages.
    pub(crate) command: String,
    /// The values of `--file`. An empty list means the default names.
    pub(crate) files: Vec<String>,
    /// The repository that has the definition.
    pub(crate) remote: Option<Remote>,
    /// The groups and targets.
    pub(crate) targets: Vec<String>,
    /// The values of `--set`, with those of the other flags.
    pub(crate) overrides: Vec<String>,
    /// The values of `--var`.
    pub(crate) variables: BTreeMap<String, String>,
    /// The variables that bake sets.
    pub(crate) builtins: BTreeMap<String, String>,
    pub(crate) action: Action,
    /// The scratch directory of this call.
    pub(crate) scratch: PathBuf,
}

/// What is done with the targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Prints them as JSON.
    Print,
    /// Lists targets or variables.
    List {
        /// Whether variables are listed.
        variables: bool,
        /// Whether the list is JSON.
        json: bool,
    },
    /// Builds them.
    Build {
        /// The value of `--progress`.
        progress: Option<String>,
        /// The file for the metadata of all targets.
        metadata: Option<PathBuf>,
    },
}

/// A repository that a step before has fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remote {
    /// The address as the user wrote it.
    pub(crate) url: String,
    /// The directory with the definition.
    pub(crate) directory: PathBuf,
}
