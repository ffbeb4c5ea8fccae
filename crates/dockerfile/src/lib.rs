//! Reads Dockerfiles, and the names of images in them, by the rules of Buildah.
//!
//! [`images`] lists the images that a build names. [`Reference`] reads one such name. Both take text; they open neither
//! files nor connections.

mod error;
mod expansion;
mod heredoc;
mod images;
mod lexer;
mod reference;

pub use error::{DockerfileError, ExpansionProblem, Problem};
pub use images::{BuildArgs, BuildOptions, images};
pub use reference::{Reference, is_registry};
