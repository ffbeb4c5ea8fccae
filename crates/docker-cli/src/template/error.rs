//! What is wrong with a template.

/// What is wrong with a template.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the template {0}")]
pub(crate) struct TemplateError(pub(super) String);
