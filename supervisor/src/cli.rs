//! The command line: which subcommand runs. Each has a module of its own in `commands`, a thin call into the library.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use report::exit;

use crate::commands;
use crate::commands::settings::Settings;

#[derive(Parser)]
#[command(name = "supervisor", version, about, long_about = None)]
#[command(after_help = "Exit codes and settings: docs/exit-codes.md, docs/configuration.md")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run one job: check, set up, start the runner, wipe, report
    Run(Settings),
    /// Build images for another container, until SIGTERM
    ServeBuilds(Settings),
    /// Check whether rootless builds work here, and print the remedy if not
    Doctor(commands::doctor::Arguments),
    /// Empty directories, whatever is in them
    Wipe(commands::wipe::Arguments),
    /// Print the effective configuration and the source of each value
    Config(commands::config::Arguments),
    /// Copy keys of a mounted Secret to a memory volume: the program of the pod's init container
    StageSecrets(commands::stage_secrets::Arguments),
    /// The hook that a runner calls when its job starts and ends
    #[command(hide = true)]
    Hook(commands::hook::Arguments),
    /// The command that a runner puts in front of a task
    #[command(hide = true)]
    Task(commands::hook::Task),
    /// Our own child processes
    #[command(name = linux::probe::SUBCOMMAND, hide = true)]
    Probe {
        name: String,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

/// `supervisor run` by itself.
#[derive(Parser)]
#[command(name = "supervisor run")]
struct Run {
    #[command(flatten)]
    settings: Settings,
}

/// Parses a plain `supervisor run`, because the start of a container waits for it. Building the flags of all other
/// subcommands would double the time. If it returns `None`, [`Cli`] parses again and prints the error.
fn run_alone() -> Option<Settings> {
    let mut arguments = std::env::args_os().skip(1).peekable();
    arguments.next_if(|name| name == "run")?;
    let arguments = std::iter::once("run".into()).chain(arguments);
    Some(Run::try_parse_from(arguments).ok()?.settings)
}

pub(crate) fn main() -> ExitCode {
    if let Some(code) = commands::client::by_name(std::env::args_os()) {
        return ExitCode::from(code);
    }
    if let Some(settings) = run_alone() {
        return ExitCode::from(commands::run(settings));
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { exit::USAGE } else { 0 };
            // The exit code stays the same if stdout or stderr is closed.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    ExitCode::from(match cli.command {
        Command::Run(settings) => commands::run(settings),
        Command::ServeBuilds(settings) => commands::serve_builds(settings),
        Command::Doctor(arguments) => commands::doctor::main(arguments),
        Command::Wipe(arguments) => commands::wipe::main(&arguments),
        Command::Config(arguments) => commands::config::main(arguments),
        Command::StageSecrets(arguments) => commands::stage_secrets::main(arguments),
        Command::Hook(arguments) => commands::hook::main(&arguments),
        Command::Task(arguments) => commands::hook::task(&arguments),
        Command::Probe { name, arguments } => commands::probe::main(&name, &arguments),
    })
}
