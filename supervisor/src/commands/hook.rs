//! `supervisor hook` and `supervisor task`: the CI vendor's runner calls them.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use report::exit;
use supervisor::flavor::hook::{self, Event};

#[derive(Args)]
pub(crate) struct Arguments {
    /// started, completed
    event: String,
    /// The fifo from which PID 1 reads the event
    events: PathBuf,
    /// The user's own hook
    own: Option<PathBuf>,
}

pub(crate) fn main(arguments: &Arguments) -> u8 {
    let Some(event) = Event::of_name(&arguments.event) else {
        eprintln!(
            "supervisor: found event {:?}, expected started or completed",
            arguments.event
        );
        return exit::USAGE;
    };
    hook::main(event, &arguments.events, arguments.own.as_deref())
}

#[derive(Args)]
pub(crate) struct Task {
    /// The runner's configuration, which is removed before the task starts
    configuration: PathBuf,
    /// The fifo from which PID 1 reads the event
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
