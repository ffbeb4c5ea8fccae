//! Why the builder cannot begin, or go on.

use std::io;

/// The kernel refused what the builder needs.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {source}")]
pub struct ServeError {
    /// What was tried.
    pub what: &'static str,
    /// The reason.
    pub source: io::Error,
}

impl ServeError {
    /// For `map_err`: what the kernel refused.
    pub(crate) fn kernel<E: Into<io::Error>>(what: &'static str) -> impl Fn(E) -> Self {
        move |error| Self {
            what,
            source: error.into(),
        }
    }
}
