//! `supervisor hook`: called by the CI vendor's runner, not by people.

use std::path::PathBuf;

use clap::Args;
use supervisor::exit;
use supervisor::flavor::hook::{self, Event};

#[derive(Args)]
pub(crate) struct Arguments {
    /// started, completed
    event: String,
    /// Where PID 1 is told
    events: PathBuf,
    /// The user's own hook
    own: Option<PathBuf>,
}

pub(crate) fn main(arguments: &Arguments) -> u8 {
    let Some(event) = Event::of_name(&arguments.event) else {
        eprintln!("supervisor: there is no event {}", arguments.event);
        return exit::USAGE;
    };
    hook::main(event, &arguments.events, arguments.own.as_deref())
}
