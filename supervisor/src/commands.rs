//! One file a subcommand.

pub(crate) mod client;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod hook;
pub(crate) mod probe;
pub(crate) mod run;
pub(crate) mod serve_builds;
pub(crate) mod stage_secrets;
pub(crate) mod wipe;
