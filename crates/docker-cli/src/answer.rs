//! What we say ourselves: Docker's own forms, made from what Buildah said or from files that it wrote.

use std::path::PathBuf;

use serde_json::Value;

use super::template::{Template, TemplateError};

/// A text for standard output or a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// This text.
    Text(String),
    /// What a file says, and the end of the line.
    File(PathBuf),
    /// `TAG: digest: SHA256`, the last line of `docker push`.
    Pushed {
        /// The tag.
        tag: String,
        /// The file with the digest.
        digest: PathBuf,
    },
    /// The content of `--metadata-file`.
    Metadata {
        /// The file with the image's ID.
        iid: Option<PathBuf>,
        /// The file with the digest, if anything was pushed.
        digest: Option<PathBuf>,
        /// The image's names.
        names: Vec<String>,
    },
    /// The ID of the image with this name.
    ImageId {
        /// Its name.
        name: String,
    },
    /// `docker images`.
    Images(Listing),
    /// `docker inspect`: two commands' output for each image.
    Inspect {
        /// `--format`.
        format: Option<String>,
    },
    /// `docker version`.
    Version {
        /// `--format`.
        format: Option<String>,
    },
    /// `docker info`.
    Info {
        /// `--format`.
        format: Option<String>,
    },
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    /// A file of Buildah's could not be read.
    #[error("{}, which Buildah was to write: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Buildah's output is not what it is known to be.
    #[error("Buildah's answer is not understood: {0}")]
    Json(#[from] serde_json::Error),
    /// The user's template.
    #[error("--format: {0}")]
    Template(String),
}

impl From<TemplateError> for AnswerError {
    fn from(error: TemplateError) -> Self {
        Self::Template(error.to_string())
    }
}

/// How images are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(super) format: Option<String>,
    pub(super) wanted: Option<String>,
    pub(super) quiet: bool,
    pub(super) whole: bool,
    pub(super) digests: bool,
}

/// One object a line through a template; else an array of all.
pub(super) fn present(format: Option<&str>, objects: &[Value]) -> Result<String, AnswerError> {
    let array = Value::from(objects);
    match format {
        None => Ok(format!("{array:#}\n")),
        Some("json") => Ok(format!("{array}\n")),
        Some(template) => {
            let template = Template::read(template)?;
            let mut text = String::new();
            for object in objects {
                text += &template.render(object)?;
                text.push('\n');
            }
            Ok(text)
        }
    }
}
