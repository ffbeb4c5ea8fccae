//! `supervisor hook` and `supervisor task`: called by the CI vendor's runner, not by people.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use report::exit;
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

#[derive(Args)]
pub(crate) struct Task {
    /// The runner's configuration, which goes before the task starts
    configuration: PathBuf,
    /// Where PID 1 is told
    events: PathBuf,
    /// The task agent's command line
    #[arg(last = true)]
    command: Vec<OsString>,
}

pub(crate) fn task(arguments: &Task) -> u8 {
    hook::task(
        &arguments.configuration,
        &arguments.events,
        &arguments.command,
    )
}
