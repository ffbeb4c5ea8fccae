//! `supervisor wipe PATH…`: empties directories.

use std::path::PathBuf;

use clap::Args;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Directories to empty and remove
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

pub(crate) fn main(arguments: &Arguments) -> u8 {
    u8::from(arguments.paths.is_empty())
}
