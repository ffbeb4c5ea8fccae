//! `supervisor hook` and `supervisor task`: the CI vendor's runner calls them.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use report::exit;
use supervisor::config::JobSummary;
use supervisor::flavor::hook::{self, Event, PageSettings};

#[derive(Args)]
pub(crate) struct Arguments {
    /// started, completed
    event: String,
    /// When the job's page gets a summary: never, problems, always
    #[arg(long, default_value = "problems")]
    job_summary: String,
    /// The builder's socket
    #[arg(long, default_value = "/run/builder/socket")]
    builder_socket: PathBuf,
    /// A directory that the job may fill
    #[arg(long = "volume")]
    volumes: Vec<PathBuf>,
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
    let Some(job_summary) = JobSummary::of_name(&arguments.job_summary) else {
        eprintln!(
            "supervisor: found --job-summary {:?}, expected never, problems or always",
            arguments.job_summary
        );
        return exit::USAGE;
    };
    let page = PageSettings {
        job_summary,
        socket: arguments.builder_socket.clone(),
        volumes: arguments.volumes.clone(),
    };
    hook::main(event, &page, &arguments.events, arguments.own.as_deref())
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
