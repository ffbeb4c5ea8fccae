//! The error of a template.

/// A mistake in a template of `--format`.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the template {0}")]
pub(crate) struct TemplateError(pub(super) String);
