//! Reads the definition files of `docker buildx bake`, and resolves their targets.
//!
//! [`Request::resolve`] takes the text of the files, and returns the [`Target`]s to build. It opens no file and starts no
//! process. A definition that would never end, or would need too much memory, is an error.

mod blocks;
mod budget;
mod compose;
mod definition;
mod definitions;
mod error;
mod evaluator;
mod functions;
mod glob;
mod inherit;
mod json_syntax;
mod list;
mod operators;
mod overrides;
mod paths;
mod print;
mod records;
mod resolve;
mod source;
mod special_forms;
mod target;
mod template;
mod types;
mod value;
mod variables;
mod yaml;

pub use blocks::Group;
pub use definitions::{Definitions, Variable};
pub use error::BakeError;
pub use paths::clean;
pub use records::attestation;
pub use resolve::{Request, Resolved};
pub use source::File;
pub use target::Target;

/// The files that are read if the command line names none.
pub const DEFAULT_FILES: [&str; 8] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
    "docker-bake.json",
    "docker-bake.hcl",
    "docker-bake.override.json",
    "docker-bake.override.hcl",
];
