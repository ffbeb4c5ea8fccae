//! Reads Dockerfiles, and the names of images in them, by the rules of Buildah.
//!
//! [`images`] lists the images that a build names. Their type, [`Reference`], is that of the crate `image-ref`. The crate
//! takes text; it opens neither files nor connections.

mod error;
mod expansion;
mod heredoc;
mod images;
mod lexer;

pub use error::{DockerfileError, ExpansionProblem, Problem};
pub use image_ref::{InvalidReference, Reference, is_registry};
pub use images::{BuildArgs, BuildOptions, images};
