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
mod target;
mod template;
mod types;
mod value;
mod variables;
mod yaml;

pub use blocks::Group;
pub use definitions::Definitions;
pub use error::BakeError;
pub use list::Variable;
pub use paths::clean;
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

/// Returns the record of an attestation for a value of `--sbom` or `--provenance`.
#[must_use]
pub fn attestation(kind: &str, value: &str) -> String {
    match pflag::parse_bool(value) {
        Some(on) => format!("type={kind},disabled={}", !on),
        None => format!("type={kind},{value}"),
    }
}
