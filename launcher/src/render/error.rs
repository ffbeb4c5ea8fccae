//! Errors of reading templates and rendering jobs.

use std::path::PathBuf;

use super::patch::PatchError;
use super::volumes::SECRET_VOLUME;

/// A job that cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The template cannot be used.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A patch contradicts its object's structure.
    #[error("the patch for {kind} cannot be merged: {error}")]
    Patch {
        /// The kind of the patched object.
        kind: String,
        /// The position in the patch, and what is wrong there.
        error: PatchError,
    },
    /// A patch is for an object that the template does not have.
    #[error(
        "the patch is for {wanted}, but the template has only {present}; correct the patch's kind or metadata.name"
    )]
    NoTarget {
        /// The kind and name that the patch states.
        wanted: String,
        /// The kinds and names that the template has.
        present: String,
    },
    /// A patch is not a map.
    #[error(
        "{from}: expected a map of an object's fields, as in \"spec: {{activeDeadlineSeconds: 3600}}\""
    )]
    NotAMap {
        /// The option or file of the patch.
        from: String,
    },
    /// An image of the template has no registry, and no option gives it one.
    #[error(
        "the template's image \"{0}\" has no registry; pass --registry REGISTRY, or --image {0}=REFERENCE"
    )]
    Image(String),
    /// The template's pod has no volume for the runner's token.
    #[error(
        "the template's pod has no volume \"{SECRET_VOLUME}\" with a Secret; add it, because the runner's token is mounted there"
    )]
    NoSecretVolume,
}

/// A template that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The file or directory cannot be read.
    #[error("the template {path} cannot be read: {error}")]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// The operating system's error.
        error: std::io::Error,
    },
    /// The text is not YAML.
    #[error("{from} is not YAML: {error}")]
    Yaml {
        /// The file, or the option that the text came from.
        from: String,
        /// The position, and what is wrong there.
        error: Box<serde_saphyr::Error>,
    },
    /// An object has no kind or API version.
    #[error("{from}: an object has no \"{field}\"; add it")]
    Incomplete {
        /// The file.
        from: String,
        /// The missing field.
        field: &'static str,
    },
    /// The template does not have exactly one Job.
    #[error("{from}: expected one Job, found {found}; other objects may stand beside it")]
    Jobs {
        /// The file.
        from: String,
        /// The number of Jobs.
        found: usize,
    },
    /// `kubectl kustomize` failed.
    #[error(
        "\"kubectl kustomize {path}\" failed: {message}; a template may also be a file, from \"kubectl kustomize DIRECTORY > FILE\""
    )]
    Kustomize {
        /// The directory.
        path: PathBuf,
        /// kubectl's message on stderr.
        message: String,
    },
}
