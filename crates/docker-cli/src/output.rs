//! What the client prints itself: Docker's forms, made from Buildah's output or from files that Buildah wrote.

use std::path::PathBuf;

use serde_json::Value;

use super::template::{Template, TemplateError};

/// A text for standard output or a file. [`Output::text`] renders it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Output {
    /// This text.
    Text(String),
    /// The content of a file, and a newline.
    File(PathBuf),
    /// `TAG: digest: SHA256`, the last line of `docker push`.
    Pushed {
        /// The tag.
        tag: String,
        /// The file with the digest.
        digest: PathBuf,
    },
    /// The content of `--metadata-file`, a JSON object with BuildKit's keys.
    Metadata {
        /// The file with the image's ID. A list of images has no ID.
        iid: Option<PathBuf>,
        /// The file with the digest, if the build pushes.
        digest: Option<PathBuf>,
        /// The image's names.
        names: Vec<String>,
    },
    /// The ID of the image with this name, from `buildah images --json`.
    ImageId {
        /// The complete name.
        name: String,
    },
    /// The table of `docker images`, from `buildah images --json`.
    Images(ImageTable),
    /// `docker inspect`, from two commands' output for each image: `buildah inspect` and `buildah images --json`.
    Inspect {
        /// The value of `--format`.
        format: Option<String>,
    },
    /// `docker history`, from `buildah inspect`.
    History(HistoryTable),
    /// The report of a prune, from `buildah images --json` and `buildah rmi`. Both are left out if nothing was to be removed.
    Pruned(Pruned),
    /// `docker system df`, from `buildah images --json`.
    Usage {
        /// The value of `--format`.
        format: Option<String>,
    },
    /// `docker version`, from `buildah version --json`.
    Version {
        /// The value of `--format`.
        format: Option<String>,
    },
    /// `docker info`, from `buildah version --json` and `buildah info`.
    Info {
        /// The value of `--format`.
        format: Option<String>,
    },
}

/// Which of Docker's forms the report of a prune has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pruned {
    /// `Total reclaimed space: SIZE`.
    Images,
    /// `Total: SIZE`, as buildx prints it.
    Cache,
}

/// Why an [`Output`] cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    /// A file that Buildah writes cannot be read.
    #[error("cannot read {}, a file that Buildah writes: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// Buildah's output is not the expected JSON.
    #[error("cannot read Buildah's output: {0}")]
    Json(#[from] serde_json::Error),
    /// The template of `--format` is wrong.
    #[error("--format: {0}")]
    Template(String),
}

impl From<TemplateError> for OutputError {
    fn from(error: TemplateError) -> Self {
        Self::Template(error.to_string())
    }
}

/// The options of `docker history`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HistoryTable {
    pub(super) format: Option<String>,
    pub(super) human: bool,
    pub(super) no_trunc: bool,
    pub(super) quiet: bool,
}

/// The options of `docker images`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageTable {
    pub(super) format: Option<String>,
    /// The repository, name or pattern to show.
    pub(super) filter: Option<String>,
    pub(super) quiet: bool,
    pub(super) no_trunc: bool,
    pub(super) digests: bool,
}

/// Renders one object a line through a template. Without a template the result is a JSON array of all objects.
pub(super) fn render_objects(
    format: Option<&str>,
    objects: &[Value],
) -> Result<String, OutputError> {
    let array = Value::from(objects);
    match format {
        None => Ok(format!("{array:#}\n")),
        Some("json") => Ok(format!("{array}\n")),
        Some(template) => {
            let template = Template::parse(template)?;
            let mut text = String::new();
            for object in objects {
                text += &template.render(object)?;
                text.push('\n');
            }
            Ok(text)
        }
    }
}
