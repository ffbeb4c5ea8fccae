//! Reads Dockerfiles, and the names of images in them, by the rules of Buildah.
//!
//! [`rewrite()`] writes them anew for Buildah, so that it does what BuildKit would. [`images`] lists the images that a build names. Their type, [`Reference`], is that of the crate `image-ref`. The crate
//! takes a file's content; it opens neither files nor connections.

mod encoding;
mod error;
mod expansion;
mod heredoc;
pub mod ignore;
mod ignore_patterns;
mod images;
mod lexer;
mod rewrite;

pub use encoding::decode;
pub use error::{DockerfileError, ExpansionProblem, Problem};
pub use ignore_patterns::{IgnoreError, IgnorePatterns, ParentMatches};
pub use image_ref::{InvalidReference, Reference, is_registry};
pub use images::{BuildArgs, BuildOptions, images};
pub use rewrite::{RewriteOptions, Rewritten, rewrite};
