//! Translates the command lines of `docker` and `podman` into Buildah's.
//!
//! [`translate`] is pure: it returns a [`Plan`] and starts no process. [`execute`] runs a plan and has all side effects;
//! [`execute::run`] does both. Each verb and each flag is data. The tables of docs/docker-commands.md are generated from it.

mod arguments;
mod build;
mod buildx;
mod csv_fields;
mod error;
pub mod execute;
mod export;
mod flag_specs;
mod git;
mod help;
mod image_table;
mod images;
mod imagetools;
mod manifest;
mod output;
mod plan;
mod planner;
mod podman;
mod reference;
mod registry;
mod render;
mod system;
mod template;
mod translate;
mod unsupported;
mod verbs;

#[cfg(test)]
mod tests;

pub use error::TranslateError;
pub use git::GitSource;
pub use output::{ImageTable, Output, OutputError};
pub use plan::{Command, Plan, Secret, Stdin, Stdout, Step, Variables};
pub use planner::JobContext;
pub use translate::translate;
pub use verbs::Program;
