//! Translates the command lines of `docker` and `podman` into Buildah's.
//!
//! [`execute::run`] translates a command line and executes the result. The translation is pure: it makes a plan and starts no
//! process. The execution has all side effects, and runs Buildah through the trait [`execute::Buildah`].
//!
//! Each verb and each flag is data. The tables of docs/docker-commands.md are generated from it.

mod archives;
mod arguments;
mod build;
mod buildkit;
mod buildx;
mod cleanup;
mod containers;
mod created;
mod csv_fields;
mod digests;
mod docker_image;
mod error;
pub mod execute;
mod export;
mod flag_specs;
mod git;
mod handover;
mod help;
mod history;
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
mod size;
mod system;
mod template;
mod time;
mod translate;
mod unsupported;
mod verbs;

#[cfg(test)]
mod tests;

pub use plan::{Command, Stdin, Stdout, Variables};
pub use verbs::Program;
