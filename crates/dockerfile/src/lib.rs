//! Reads Dockerfiles, and the names of images in them, by the very rules of Buildah.
//!
//! [`images`] says which images a build names. Their type, [`Reference`], is that of the crate `image-ref`. The
//! crate is pure: it takes text, and opens no file and no connection.

mod heredoc;
mod images;
mod lines;
mod words;

pub use image_ref::{Reference, is_registry};
pub use images::{Arguments, Given, images};
