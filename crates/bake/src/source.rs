//! A file of a definition.

/// A file of a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The name that the user gave. Its ending says the format.
    pub name: String,
    /// The content.
    pub text: String,
}
