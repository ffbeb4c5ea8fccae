//! Reads Dockerfiles, and the names of images in them, by the very rules of Buildah.
//!
//! [`images`] says which images a build names. [`Reference`] is the one reader of such a name that the builder has. Both
//! are pure: they take text, and open no file and no connection.

mod heredoc;
mod images;
mod lines;
mod reference;
mod words;

pub use images::{Arguments, Given, images};
pub use reference::{Reference, is_registry};
